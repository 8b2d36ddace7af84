//! Extractors, metrics, events and spans.
