//! The guard against a week of people and six attacks, in virtual time: `make sim` prints what each attack got through
//! and whom the guard refused. In a plain `cargo test` a smaller town plays the same week.
//!
//! Must not know how the guard decides: messages go in, verdicts come out.

#![expect(unreachable_pub, reason = "the modules of a test are shared within one crate")]

mod attacks;
mod chance;
mod people;
mod world;

use attacks::Attack;
use okta_telephony_hook::guard::{Mode, Settings};
use world::{Tally, Week};

/// Genuine messages refused, in percent: one in a thousand, and most of those were asked for six times in a row.
const TOLERABLE_PERCENT: f64 = 0.1;

/// People in the town: some thousands, or as many as a plain test run has time for.
const PEOPLE: usize = if cfg!(debug_assertions) { 1500 } else { 6000 };

/// What an attack may get through at most when every rule is enforced, and with the defaults: messages.
///
/// By default the rules that could meet a person are only observed, so that a pumped prefix and spread ones go through;
/// `spend` is what bounds them then.
const MOST: [(Attack, u64, Option<u64>); 6] = [
    // The fifth number of a prefix blocks it.
    (Attack::OnePrefix, 4, None),
    // The floor of its country in each of the clock hours it touches: 20 in two.
    (Attack::SpreadPrefixes, 40, None),
    // What one number gets in an hour.
    (Attack::OnePhone, 10, Some(10)),
    // A quarter of the floor, in three.
    (Attack::Calls, 15, None),
    // The floor, in seven.
    (Attack::ManyAddresses, 140, None),
    // What the provider lets through.
    (Attack::AroundProvider, 20, Some(20)),
];

fn defaults() -> Settings {
    Settings::default()
}

/// Every rule enforced. No spend cap: that one needs no simulation.
fn everything() -> Settings {
    Settings { mode: Some(Mode::Enforce), ..Settings::default() }
}

/// The defaults, and a cap of 20 dollars an hour outside the countries people live in.
fn capped() -> Settings {
    let mut settings = Settings::default();
    settings.spend.per_hour_micros = Some(20_000_000);
    (settings.spend.sms_micros_by_country, settings.spend.voice_micros_by_country) = world::prices();
    settings.spend.never_stop = people::home_countries();
    settings
}

fn show(name: &str, tally: &Tally) {
    println!(
        "\n{name}: {} genuine messages, {:.3} % refused {:?}",
        tally.genuine,
        tally.refused_percent(),
        tally.by_rule
    );
    println!("  {:<18} {:>8} {:>8} {:>10} {:>10}", "attack", "tried", "sent", "lost", "unguarded");
    for (attack, tried, sent, lost, whole) in tally.attacks() {
        println!("  {attack:<18} {tried:>8} {sent:>8} {:>10} {:>10}", world::dollars(lost), world::dollars(whole));
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_defaults_people_get_their_codes() {
    let tally = Week::new(PEOPLE, 1).play(defaults()).await;
    show("defaults", &tally);
    assert!(tally.refused_percent() <= TOLERABLE_PERCENT, "{tally:?}");
    for (attack, _, most) in MOST {
        let sent = tally.sent(attack);
        assert!(most.is_none_or(|most| sent <= most), "{attack:?}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_every_rule_enforced_people_get_their_codes_and_attackers_do_not() {
    let tally = Week::new(PEOPLE, 1).play(everything()).await;
    show("every rule enforced", &tally);
    assert!(tally.refused_percent() <= TOLERABLE_PERCENT, "{tally:?}");
    for (attack, most, _) in MOST {
        let sent = tally.sent(attack);
        assert!(sent <= most, "{attack:?}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_spend_cap_the_loss_of_an_hour_is_bounded() {
    let tally = Week::new(PEOPLE, 1).play(capped()).await;
    show("defaults and a spend cap", &tally);
    // A cap is a cap: people in a country that is pumped share its fate for the hour.
    assert!(tally.refused_percent() <= 3.0 * TOLERABLE_PERCENT, "{tally:?}");
    // The two longest attacks touch six windows of an hour.
    for (attack, _, _, lost, _) in tally.attacks() {
        assert!(lost <= 7 * 20_000_000, "{attack}: {lost}");
    }
}
