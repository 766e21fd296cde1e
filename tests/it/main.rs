//! The integration tests, in one crate: linked once.

#![expect(unreachable_pub, reason = "the support modules are shared within one crate")]

mod aftermath;
mod callback_attacks;
mod callbacks;
mod certificate;
mod cli;
mod config;
mod console;
mod contract;
mod dedupe;
mod descriptors;
mod doctor;
mod edge;
mod end_to_end;
mod events;
mod factors;
mod failover;
mod guard;
mod harsh;
mod hook;
mod hostile;
mod late;
mod leak;
mod learning;
mod listener;
mod matrix;
mod oauth;
mod oauth_settings;
mod outage;
mod pairs;
mod provider_contract;
mod proxy;
mod reading;
mod reload;
mod replicas;
mod resend;
mod shared_redis;
mod store;
mod storm;
mod support;
mod switches;
mod text;
mod tidy;
mod tls;
mod tokens;
