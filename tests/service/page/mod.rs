//! The admin page in a real browser, and what Prometheus and Grafana make of the metrics.

mod browser;
mod figures;
mod hostile;
mod invalidate;
mod looks;
mod sign_in;
