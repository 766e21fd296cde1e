//! The integration tests, in one crate: linked once.

mod cli;
mod config;
mod dedupe;
mod edge;
mod end_to_end;
mod failover;
mod harsh;
mod hook;
mod leak;
mod provider_contract;
mod replicas;
mod shared_redis;
mod store;
mod support;
mod tidy;
