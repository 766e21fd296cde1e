//! Countries and money.

use tokio::time::advance;

use super::{DAY, HOUR, Mode, NUMBER, Watch, call, message};
use crate::settings::List;

#[tokio::test(start_paused = true)]
async fn a_country_gets_three_times_the_usual_after_a_week_of_watching() {
    let watch = Watch::new(|settings| {
        settings.per_country.mode = Some(Mode::Enforce);
        settings.per_phone.mode = Some(Mode::Off);
    });
    let times = async |number: &str, count: usize| {
        let mut stopped = 0;
        for _ in 0..count {
            stopped += usize::from(watch.stops(&message(number)).await.is_some());
        }
        stopped
    };
    for _ in 0..7 {
        assert_eq!(times(NUMBER, 70).await, 0, "there is nothing to compare with");
        advance(DAY).await;
    }
    let new = |n: u32| format!("+4474{n:08}");
    let mut stopped = 0;
    for n in 0..211 {
        stopped += times(&new(n * 40_013), 1).await;
    }
    assert_eq!(stopped, 1);
    assert_eq!(times(NUMBER, 1).await, 0, "a number long known goes on");
    assert_eq!(times("+491701234567", 21).await, 1, "a country nobody wrote to has the floor");
    assert_eq!(watch.stops(&call(NUMBER)).await, None);
    // An attack does not become the usual: 210 of it counted, and the one that reached the cap.
    assert_eq!(times(&new(999_999), 1000).await, 1000);
    advance(DAY).await;
    assert_eq!(times(&new(999_999), 1000).await, 1000 - 271, "three times (6 × 70 + 211) / 7");
}

#[tokio::test(start_paused = true)]
async fn spending_stops_at_the_cap_but_for_some_countries() {
    let watch = Watch::new(|settings| {
        settings.per_phone.mode = Some(Mode::Off);
        settings.spend.sms_micros = 100_000;
        settings.spend.sms_micros_by_country.insert("GB".to_owned(), 40_000);
        settings.spend.per_hour_micros = Some(400_000);
        settings.spend.per_day_micros = Some(1_000_000);
        settings.spend.never_stop = List(vec!["US".to_owned()]);
    });
    assert_eq!(watch.passes(&message(NUMBER)).await, 10);
    assert_eq!(watch.count("spend", "warned"), 2, "at four fifths and at the cap");
    assert_eq!(watch.stops(&message("+15005550006")).await, None);
    advance(HOUR).await;
    assert_eq!(watch.passes(&message("+491701234567")).await, 4);
    advance(HOUR).await;
    assert_eq!(watch.passes(&message("+491701234567")).await, 1, "the day's cap");
    assert_eq!(watch.stops(&message(NUMBER)).await, Some("spend"));
    advance(DAY).await;
    assert_eq!(watch.passes(&message(NUMBER)).await, 10);
}

#[tokio::test(start_paused = true)]
async fn what_a_cap_refuses_is_not_spent_in_either_window() {
    let watch = Watch::new(|settings| {
        settings.per_phone.mode = Some(Mode::Off);
        settings.spend.sms_micros = 80_000;
        settings.spend.voice_micros = 5_000_000;
        settings.spend.voice_micros_by_country.insert("GB".to_owned(), 150_000);
        settings.spend.per_hour_micros = Some(400_000);
        settings.spend.per_day_micros = Some(600_000);
    });
    for _ in 0..3 {
        assert_eq!(watch.stops(&call("+491701234567")).await, Some("spend"), "dearer than any cap");
    }
    assert_eq!(watch.count("spend", "warned"), 0, "nothing is spent");
    assert_eq!(watch.passes(&message(NUMBER)).await, 5, "cheap texts go on");
    assert_eq!(watch.count("spend", "warned"), 2);
    advance(HOUR).await;
    assert_eq!(watch.passes(&call(NUMBER)).await, 1, "the second call would pass the day's cap");
    assert_eq!(watch.count("spend", "warned"), 4, "four fifths of the day, and that it stops messages");
    assert_eq!(watch.passes(&message(NUMBER)).await, 0);
    assert_eq!(watch.count("spend", "warned"), 4, "the same again");
    advance(DAY - HOUR).await;
    assert_eq!(watch.passes(&message(NUMBER)).await, 5, "refused calls were not charged to the hour");
}

#[tokio::test(start_paused = true)]
async fn what_is_only_observed_is_spent_beyond_the_cap_too() {
    let watch = Watch::new(|settings| {
        settings.spend.mode = Some(Mode::Observe);
        settings.spend.per_hour_micros = Some(250_000);
    });
    for _ in 0..4 {
        assert_eq!(watch.stops(&message(NUMBER)).await, None);
    }
    assert_eq!((watch.count("spend", "observed"), watch.count("spend", "warned")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_is_off_is_not_counted_up_to() {
    let watch = Watch::new(|settings| {
        settings.spend.mode = Some(Mode::Off);
        settings.spend.per_hour_micros = Some(50_000);
    });
    for _ in 0..4 {
        assert_eq!(watch.stops(&message(NUMBER)).await, None);
    }
    assert_eq!(["observed", "warned"].map(|decision| watch.count("spend", decision)), [0, 0]);
}
