//! The integration tests, in one crate: linked once.

mod cli;
mod config;
mod edge;
mod end_to_end;
mod failover;
mod hook;
mod leak;
mod provider_contract;
mod store;
mod support;
mod tidy;
