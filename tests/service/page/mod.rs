//! The admin page in a real browser, and what is scraped by a real Prometheus.
