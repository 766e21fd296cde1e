//! When nothing comes any more: events of an org, hooks of an org.

use super::*;
use crate::learn::org::Silence;

impl Desk {
    fn silences(&self) -> Vec<Silence> {
        let now = self.learn.now();
        self.learn.state().orgs.look(now)
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_stops_changes_no_verdict_and_is_not_believed_after_two_hours() {
    let desk = Desk::new();
    desk.learn.heard("main");
    desk.codes(&way(A), 30, 3);
    desk.codes(&way(B), 30, 27);
    minutes(8).await;
    desk.learn.heard("main");
    // From here nothing is heard, and of nobody's codes.
    for minute in 0..119 {
        assert_eq!(desk.last().is_empty(), minute % 50 == 49, "minute {minute}");
        desk.codes(&way(B), 2, 0);
        minutes(1).await;
        desk.learn.look();
    }
    assert_eq!(desk.silences(), []);
    assert_eq!(desk.metric("okta_hook_event_feed_silent{org=\"main\"}"), 0.0);
    minutes(1).await;
    assert_eq!(desk.silences(), [Silence::Feed("main".into())]);
    assert_eq!(desk.silences(), [], "once");
    assert_eq!(desk.metric("okta_hook_event_feed_silent{org=\"main\"}"), 1.0);
    assert_eq!(desk.metric("okta_hook_event_feed_silent{org=\"deaf\"}"), -1.0, "it has none");
    for _ in 0..2 {
        assert_eq!(desk.last(), [""; 0]);
        desk.learn.heard("main");
        assert_eq!(desk.metric("okta_hook_event_feed_silent{org=\"main\"}"), 0.0);
    }
    // What is heard now of codes of the silent time says nothing.
    desk.learn.used("main", &Sent { way: way(A), at: wall() - jiff::SignedDuration::from_mins(7), awaited: true });
    minutes(8).await;
    desk.learn.heard("main");
    assert!(desk.learn.table().iter().all(|row| row.conversion.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_quarter_of_an_hour_without_events_begins_the_count_anew() {
    for (silent, kept) in [(15, true), (16, false)] {
        let desk = Desk::new();
        desk.learn.heard("main");
        desk.codes(&way(A), 30, 3);
        minutes(silent).await;
        desk.learn.heard("main");
        assert_eq!(desk.learn.table()[0].conversion.is_some(), kept, "{silent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_night_is_no_silence() {
    let desk = Desk::new();
    desk.learn.heard("main");
    desk.codes(&way(A), 19, 0);
    minutes(600).await;
    assert_eq!(desk.silences(), [], "nineteen codes may all go unused");
    desk.codes(&way(A), 1, 0);
    assert_eq!(desk.silences(), [Silence::Feed("main".into())]);
}

#[tokio::test(start_paused = true)]
async fn hooks_that_stop_are_missed_if_they_came_at_this_time_yesterday() {
    let desk = Desk::new();
    let silent = || desk.metric("okta_hook_silent{org=\"main\"}");
    assert_eq!(desk.metric("okta_hook_last_hook_timestamp_seconds{org=\"main\"}"), -1.0);
    // Twenty in this hour, nineteen in the next, and one every quarter of an hour until tomorrow.
    for _ in 0..20 {
        desk.learn.hook("main");
        minutes(3).await;
    }
    for _ in 0..19 {
        desk.learn.hook("main");
        minutes(3).await;
    }
    minutes(3).await;
    for _ in 0..22 * 4 {
        desk.learn.hook("main");
        minutes(15).await;
        assert_eq!(desk.silences(), []);
    }
    // At the hour of yesterday's first hook, the last came a quarter of an hour ago.
    minutes(14).await;
    assert_eq!((desk.silences(), silent()), (vec![], 0.0));
    minutes(1).await;
    assert_eq!(desk.silences(), [], "in the hour up to this moment only five came yesterday");
    minutes(45).await;
    assert_eq!(desk.silences(), [Silence::Hooks("main".into(), 20)]);
    assert_eq!((desk.silences(), silent()), (vec![], 1.0));
    minutes(60).await;
    assert_eq!((desk.silences(), silent()), (vec![], 1.0), "only a hook ends it");
    desk.learn.hook("main");
    assert_eq!((desk.silences(), silent()), (vec![], 0.0));
    let told = desk.metric("okta_hook_last_hook_timestamp_seconds{org=\"main\"}");
    assert_eq!(told, wall().as_second() as f64);
    // Fewer than twenty came in the hour that the silence is now held against.
    minutes(31).await;
    assert_eq!((desk.silences(), silent()), (vec![], 0.0));
}

#[tokio::test(start_paused = true)]
async fn watching_ends_with_the_server() {
    let desk = Desk::new();
    let stop = CancellationToken::new();
    let watch = tokio::spawn(desk.learn.clone().watch(stop.clone()));
    desk.learn.heard("main");
    desk.codes(&way(A), 20, 0);
    tokio::time::sleep(Duration::from_secs(2 * 60 * 60 + 11)).await;
    assert_eq!(desk.metric("okta_hook_event_feed_silent{org=\"main\"}"), 1.0, "seen without being asked");
    stop.cancel();
    watch.await.expect("no panic");
}
