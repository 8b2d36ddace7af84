//! The admin API over real sockets: who may what, and what it tells and does.

mod audit;
mod credentials;
mod cross_site;
mod entries;
mod events;
mod figures;
mod health;
mod hostile;
mod invalidating;
mod limited;
mod openapi;
mod paths;
mod rig;
mod secrets;
mod tenants;
mod top_keys;
