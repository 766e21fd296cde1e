//! The integration tests, in one crate: linked once.

mod certificate;
mod cli;
mod config;
mod contract;
mod descriptors;
mod edge;
mod end_to_end;
mod failover;
mod hook;
mod hostile;
mod leak;
mod matrix;
mod oauth;
mod oauth_settings;
mod pairs;
mod provider_contract;
mod support;
mod switches;
mod text;
mod tidy;
mod tls;
mod tokens;
