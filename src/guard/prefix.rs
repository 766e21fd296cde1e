//! New numbers side by side, and blocks of them.
//!
//! Must not decide what follows. Numbers are compared by their hashes: the store never sees one.

use std::time::Duration;

use bytes::Bytes;

use super::ledger::{Case, TEN_MINUTES};
use super::settings::Mode;
use super::windows::numbers;
use super::{Found, Guard, Rule, kinds};
use crate::secret::KeyedHash;
use crate::store::{Add, Key, StoreFault, Tally};

/// Digits cut off a number for the wide prefix: ten thousand numbers, the smallest range operators are given.
pub(super) const WIDE: usize = 4;

/// Digits cut off for the narrow one: a thousand numbers, so that a block meets few others.
const NARROW: usize = 3;

/// How long a block makes the next one longer: four of the longest, so that an attack that goes on stays at the longest.
const STRIKES: Duration = Duration::from_secs(48 * 60 * 60);

/// Written instead of a narrow prefix when the whole wide one is blocked.
const WHOLE: &str = "*";

/// What blocks a number, or its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    None,
    /// Numbers beside it are blocked.
    Beside,
    /// By this rule.
    By(Rule),
}

impl Guard {
    /// Whether the number is blocked.
    pub(super) async fn block(&self, case: &Case<'_>) -> Result<Block, StoreFault> {
        if [Rule::Prefix, Rule::ProviderFraud].into_iter().all(|rule| self.config.mode(rule) == Mode::Off) {
            return Ok(Block::None);
        }
        let Some(stored) = self.ledger.store.read(&Key::new(kinds::BLOCK, case.wide)).await? else {
            return Ok(Block::None);
        };
        let written = std::str::from_utf8(&stored).ok().and_then(|text| text.split_once(' '));
        let rule = written.and_then(|(rule, _)| Rule::ALL.into_iter().find(|known| known.as_str() == rule));
        let (Some((_, scope)), Some(rule)) = (written, rule) else { return Ok(Block::None) };
        if self.config.mode(rule) == Mode::Off {
            return Ok(Block::None);
        }
        Ok(if scope == WHOLE || scope == self.narrow(case) { Block::By(rule) } else { Block::Beside })
    }

    /// Counts the number among the new ones beside it; blocks them when there are too many.
    pub(super) async fn neighbours(&self, case: &Case<'_>) -> Found {
        let limits = self.config.per_prefix;
        let is_judged = case.observed.iter().any(|rule| matches!(rule, Rule::Prefix | Rule::Sequence));
        if self.config.mode(Rule::Prefix) == Mode::Off || case.is_known() || is_judged {
            return Ok(None);
        }
        let wide = Key::new(kinds::PREFIX, case.wide);
        let narrow = Key::new(kinds::PREFIX, self.ledger.prefix(case.prefix(NARROW)));
        let tallies = [numbers(case, wide.clone(), TEN_MINUTES), numbers(case, narrow, TEN_MINUTES)];
        let counts = self.ledger.store.tally(&tallies).await?;
        let &[in_wide, in_narrow] = &*counts else { return Ok(None) };
        let rule = if in_wide >= limits.run && self.is_run(case, &self.ledger.store.members(&wide).await?) {
            Rule::Sequence
        } else if in_wide >= limits.numbers {
            Rule::Prefix
        } else {
            return Ok(None);
        };
        // Another thousand beside a blocked one: the run has moved on, and the wide prefix goes.
        let scope = if in_narrow >= limits.run && !case.beside_block { self.narrow(case) } else { WHOLE.to_owned() };
        let length = self.length(case).await?;
        self.put_block(case, rule, &scope, length).await?;
        Ok(Some(rule))
    }

    /// Blocks the numbers beside one that a provider's fraud guard refused.
    pub(super) async fn block_for_provider(&self, case: &Case<'_>) -> Result<(), StoreFault> {
        self.put_block(case, Rule::ProviderFraud, WHOLE, self.config.provider_fraud.block).await
    }

    async fn put_block(&self, case: &Case<'_>, rule: Rule, scope: &str, length: Duration) -> Result<(), StoreFault> {
        let value = Bytes::from(format!("{} {scope}", rule.as_str()));
        self.ledger.store.write(&[Key::new(kinds::BLOCK, case.wide)], value, length).await
    }

    /// Twice as long for each block of the last two days.
    async fn length(&self, case: &Case<'_>) -> Result<Duration, StoreFault> {
        let limits = self.config.per_prefix;
        let key = self.ledger.key(kinds::STRIKES, "strikes", &[case.prefix(WIDE).as_bytes()]);
        // Members leave one by one: a counter's window would end in the middle of a long attack.
        let strike = [self.ledger.hash("strike", &[&self.seconds().to_be_bytes()])];
        let strikes = self.ledger.tally(Tally { key, add: Add::Members(&strike), ttl: STRIKES }).await?;
        // Beyond 2^16 any block is longer than the longest.
        let doublings = u32::try_from(strikes.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        Ok(limits.block.saturating_mul(1 << doublings).min(limits.max_block))
    }

    /// Whether the number stands in a row of consecutive ones.
    fn is_run(&self, case: &Case<'_>, members: &[KeyedHash]) -> bool {
        let digits = case.message.recipient.expose_digits();
        let Ok(number) = digits.parse::<u64>() else { return false };
        let is_there = |number: u64| members.contains(&self.ledger.phone(&number.to_string()));
        let run = self.config.per_prefix.run;
        let below = (1..run).take_while(|step| is_there(number.saturating_sub(*step))).count() as u64;
        let above = (1..run - below).take_while(|step| is_there(number.saturating_add(*step))).count() as u64;
        1 + below + above >= run
    }

    fn narrow(&self, case: &Case<'_>) -> String {
        self.ledger.prefix(case.prefix(NARROW)).to_string()
    }
}
