//! Hands over what was counted.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::metrics::Exporter;
use metrics::{Label, SharedString, Unit};

use crate::config::{HttpCache, Shared};

const REQUESTS: &str = "cache_http_requests_total";
const FLIGHTS: &str = "cache_http_flights";

/// Hands the figures of a response cache, and of the cache that holds its entries, to the recorder of
/// this process. See [the module](crate::metrics). Keeps neither alive; cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpExporter {
    http: Weak<Shared>,
    name: String,
    labels: Vec<Label>,
    cache: Exporter,
}

impl HttpExporter {
    /// Of this response cache.
    pub fn new(http: &HttpCache) -> Self {
        let cache = Exporter::new(http.cache());
        let name = http.shared.name.clone();
        Self { http: Arc::downgrade(&http.shared), name, labels: Vec::new(), cache }
    }

    /// As [`Exporter::label`].
    #[must_use]
    pub fn label(mut self, name: impl Into<SharedString>, value: impl Into<SharedString>) -> Self {
        let label = Label::new(name, value);
        self.cache = self.cache.label(label.key().to_owned(), label.value().to_owned());
        self.labels.push(label);
        self
    }

    /// As [`Exporter::workspaces`].
    #[must_use]
    pub fn workspaces(mut self, most: usize) -> Self {
        self.cache = self.cache.workspaces(most);
        self
    }

    /// Hands over what was counted until now; false if the response cache is no more.
    #[allow(clippy::must_use_candidate, reason = "done for what it does")]
    pub fn publish(&self) -> bool {
        let Some(shared) = self.http.upgrade() else { return false };
        metrics::describe_counter!(
            REQUESTS,
            Unit::Count,
            "Requests, by result, in the words of Cache-Status"
        );
        metrics::describe_gauge!(
            FLIGHTS,
            Unit::Count,
            "Fetches in progress that other requests may wait for"
        );
        let stats = shared.counters.snapshot();
        for ((result, decision, detail), count) in shared.decisions.snapshot(stats) {
            let labels = [
                Label::from_static_parts("result", result),
                Label::new("decision", decision),
                Label::from_static_parts("detail", detail),
            ];
            metrics::counter!(REQUESTS, self.labelled(labels)).absolute(count);
        }
        #[allow(clippy::cast_precision_loss, reason = "gauges are floats, and 2^53 is far away")]
        metrics::gauge!(FLIGHTS, self.labelled([])).set(shared.flights.len() as f64);
        self.cache.publish()
    }

    /// Hands over every so often, until the response cache is no more: to be spawned.
    pub async fn run(self, every: Duration) {
        let mut ticks = tokio::time::interval(every.max(LEAST));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.publish() {
                return;
            }
        }
    }

    fn labelled<const N: usize>(&self, labels: [Label; N]) -> Vec<Label> {
        let cache = Label::new("cache", self.name.clone());
        std::iter::once(cache).chain(labels).chain(self.labels.iter().cloned()).collect()
    }
}

/// Whoever wants it all the time wants it ten times a second.
const LEAST: Duration = Duration::from_millis(100);
