//! The integration tests, in one crate: linked once.

#![expect(unreachable_pub, reason = "the support modules are shared within one crate")]

mod cli;
mod config;
mod contract;
mod edge;
mod end_to_end;
mod failover;
mod guard;
mod hook;
mod leak;
mod matrix;
mod pairs;
mod provider_contract;
mod store;
mod support;
mod switches;
mod text;
mod tidy;
