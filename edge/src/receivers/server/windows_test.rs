use futures::FutureExt;

use super::*;
use crate::receivers::Limits;

const BUDGET: usize = 64 << 20;

fn windows(budget_bytes: usize) -> Arc<Windows> {
    Windows::new(budget_bytes, Arc::default())
}

fn admitted(windows: &Arc<Windows>) -> Grant {
    windows.admit().now_or_never().expect("there is room")
}

fn opened(windows: &Arc<Windows>) -> Grant {
    let mut grant = admitted(windows);
    grant.open();
    grant
}

#[test]
fn a_connection_alone_gets_the_largest_windows() {
    let windows = windows(BUDGET);
    let opening = admitted(&windows).open();
    let window = Window { connection: 16 << 20, stream: 4 << 20 };
    assert_eq!(opening, Opening { window, frame: 1 << 20 });
}

#[test]
fn grants_never_exceed_the_budget_and_shrink_as_connections_grow() {
    let windows = windows(BUDGET);
    let mut grants: Vec<Grant> = Vec::new();
    let mut last = usize::MAX;
    while let Some(mut grant) = windows.admit().now_or_never() {
        grant.open();
        assert!(grant.bytes() <= last, "{} after {last}", grant.bytes());
        last = grant.bytes();
        grants.push(grant);
        let granted: usize = grants.iter().map(Grant::bytes).sum();
        assert!(granted <= BUDGET, "{granted}");
        assert_eq!(windows.metrics.window_bytes.get(), granted as u64);
    }
    assert_eq!(last, FLOOR_BYTES);
    drop(grants);
    assert_eq!(windows.metrics.window_bytes.get(), 0);
    assert_eq!(windows.free.available_permits(), BUDGET);
}

#[test]
fn connections_that_work_come_down_to_their_share_so_that_the_budget_holds_all_at_the_floor() {
    let windows = windows(BUDGET);
    let mut grants: Vec<Grant> = Vec::new();
    for _ in 0..BUDGET / FLOOR_BYTES {
        // Some of the earlier ones hold more than a frame at the floor, for good.
        let Some(mut grant) = windows.admit().now_or_never() else { break };
        grant.open();
        grants.push(grant);
        for grant in &mut grants {
            grant.adjust(0);
            grant.adjust(MOST_BYTES);
        }
    }
    assert!(grants.len() > 900, "{}", grants.len());
    let floors = grants.iter().filter(|grant| grant.bytes() == FLOOR_BYTES).count();
    assert!(floors > 900, "{floors}");
}

#[test]
fn what_was_granted_counts_until_it_came() {
    let windows = windows(BUDGET);
    let mut first = opened(&windows);
    let others: Vec<Grant> = (0..7).map(|_| opened(&windows)).collect();
    let told = first.adjust(0).expect("the share is a quarter of what it was");
    assert_eq!(told.connection, 4 << 20);
    assert_eq!(first.bytes(), 16 << 20, "the client may still fill it");
    first.adjust(5 << 20);
    assert_eq!(first.bytes(), 11 << 20);
    first.adjust(20 << 20);
    assert_eq!(first.bytes(), 4 << 20);
    drop(others);
    let told = first.adjust(0).expect("it is alone again");
    assert_eq!(told.connection, 16 << 20);
}

#[test]
fn while_the_budget_is_short_those_with_more_than_their_share_are_to_go() {
    let windows = windows(BUDGET);
    let first = opened(&windows);
    assert!(!first.is_excessive());
    let mut others = Vec::new();
    while !*windows.short.borrow() {
        others.push(opened(&windows));
    }
    assert!(first.is_excessive());
    assert!(!others.last().unwrap().is_excessive());
    let before = windows.free.available_permits();
    drop(first);
    assert_eq!(windows.free.available_permits(), before + (16 << 20));
    assert!(!*windows.short.borrow());
}

#[test]
fn by_default_there_is_room_for_as_many_connections_as_may_be_open() {
    let Limits { window_bytes, connections, .. } = Limits::default();
    let windows = windows(window_bytes);
    let grants: Vec<_> = (0..connections).map_while(|_| windows.admit().now_or_never()).collect();
    assert_eq!(grants.len(), connections);
}

#[test]
fn who_finds_no_room_waits_and_http_1_keeps_its_buffer_only() {
    let windows = windows(2 * FLOOR_BYTES);
    let first = admitted(&windows);
    let mut second = admitted(&windows);
    assert!(windows.admit().now_or_never().is_none());
    second.keep(FLOOR_BYTES / 2);
    assert!(windows.admit().now_or_never().is_none());
    drop(first);
    admitted(&windows);
}
