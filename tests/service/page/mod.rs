//! The admin page in a real browser.

mod board;
mod figures;
mod hostile;
mod invalidate;
mod looks;
mod ops;
mod screenshot;
mod sign_in;
