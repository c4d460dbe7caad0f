use std::sync::Barrier;
use std::time::Duration;

use tokio::task::JoinSet;

use super::*;

const FINGERPRINT: Fingerprint = Fingerprint(77);
const NOW: Uptime = Uptime(1_000);

fn dedup() -> Dedup {
    Dedup::new(Options::default(), 7)
}

fn answer() -> TraceAnswer {
    TraceAnswer { accepted: 3, late: 2, future: 1 }
}

fn new(dedup: &Dedup) -> Registered {
    match dedup.register(FINGERPRINT, NOW) {
        Registration::New(registered) => registered,
        other => panic!("it is not new: {other:?}"),
    }
}

fn waiter(dedup: &Dedup) -> oneshot::Receiver<Outcome> {
    match dedup.register(FINGERPRINT, NOW) {
        Registration::InFlight(waiter) => waiter,
        other => panic!("it is not in flight: {other:?}"),
    }
}

/// What the one that waits is told, which is bound to come.
async fn told(waiter: oneshot::Receiver<Outcome>) -> Outcome {
    let told = tokio::time::timeout(Duration::from_secs(10), waiter).await;
    told.expect("nobody waits for ever").expect("it is told something")
}

#[tokio::test]
async fn those_who_wait_get_the_first_answer() {
    let dedup = dedup();
    let first = new(&dedup);
    let mut waiters = [waiter(&dedup), waiter(&dedup), waiter(&dedup)];
    let other = dedup.register(Fingerprint(78), NOW);
    assert!(matches!(other, Registration::New(_)), "another request is none of its business");
    for waiter in &mut waiters {
        waiter.try_recv().expect_err("not before the sync");
    }
    first.complete(NOW, answer());
    for waiter in waiters {
        assert_eq!(told(waiter).await, Ok(answer()));
    }
    let Registration::Known(known) = dedup.register(FINGERPRINT, NOW) else { panic!("remembered") };
    assert_eq!(known, answer());
}

#[tokio::test]
async fn a_dropped_registration_fails_those_who_wait_and_the_next_starts_afresh() {
    let dedup = dedup();
    let first = new(&dedup);
    let waiter = waiter(&dedup);
    drop(first);
    let refusal = told(waiter).await.expect_err("nothing counts");
    assert!(refusal.is_retryable(), "{refusal}");
    assert_eq!(dedup.in_flight(), 0);
    new(&dedup).complete(NOW, answer());
    assert!(matches!(dedup.register(FINGERPRINT, NOW), Registration::Known(_)));
}

#[tokio::test]
async fn a_panic_fails_those_who_wait_and_the_next_starts_afresh() {
    let dedup = dedup();
    let first = new(&dedup);
    let waiter = waiter(&dedup);
    let (go, gone) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let _first = first;
        gone.await.expect("told to go on");
        panic!("planted");
    });
    go.send(()).expect("it waits");
    let refusal = told(waiter).await.expect_err("nothing counts");
    assert!(refusal.is_retryable(), "{refusal}");
    assert!(task.await.expect_err("it panicked").is_panic());
    drop(new(&dedup));
}

#[tokio::test]
async fn a_refusal_is_passed_on_if_trying_again_may_help() {
    let dedup = dedup();
    let (first, waits) = (new(&dedup), waiter(&dedup));
    let full = Refusal::Journal("the disk is full".into());
    first.refuse(full.clone());
    assert_eq!(told(waits).await, Err(full));
    let (first, waits) = (new(&dedup), waiter(&dedup));
    first.refuse(Refusal::TooLarge("ten times".into()));
    assert_eq!(told(waits).await, Err(Refusal::Unfinished));
    assert!(Refusal::Unfinished.is_retryable());
    drop(new(&dedup));
}

#[tokio::test]
async fn what_has_nothing_to_remember_answers_those_who_wait_and_is_forgotten() {
    let dedup = dedup();
    let (first, waits) = (new(&dedup), waiter(&dedup));
    first.dismiss(TraceAnswer::default());
    assert_eq!(told(waits).await, Ok(TraceAnswer::default()));
    assert_eq!((dedup.in_flight(), dedup.len()), (0, 0));
    drop(new(&dedup));
}

#[tokio::test]
async fn one_that_hung_up_harms_nobody() {
    let dedup = dedup();
    let first = new(&dedup);
    let (gone, stays) = (waiter(&dedup), waiter(&dedup));
    drop(gone);
    first.complete(NOW, answer());
    assert_eq!(told(stays).await, Ok(answer()));
}

#[tokio::test]
async fn beyond_the_most_that_may_wait_one_is_told_to_try_again() {
    let dedup = dedup();
    let first = new(&dedup);
    let waiters: Vec<_> = (0..MAX_WAITERS).map(|_| waiter(&dedup)).collect();
    let refusal = told(waiter(&dedup)).await.expect_err("too many");
    assert!(refusal.is_retryable(), "{refusal}");
    first.complete(NOW, answer());
    for waiter in waiters {
        assert_eq!(told(waiter).await, Ok(answer()));
    }
    // All have left, so others may wait.
    let (first, waits) = match dedup.register(Fingerprint(5), NOW) {
        Registration::New(first) => (first, dedup.register(Fingerprint(5), NOW)),
        other => panic!("it is not new: {other:?}"),
    };
    let Registration::InFlight(mut waits) = waits else { panic!("it is in flight") };
    waits.try_recv().expect_err("it waits");
    drop(first);
}

#[test]
fn of_many_at_once_one_is_new() {
    const THREADS: usize = 4;
    const ROUNDS: u128 = 300;
    let dedup = dedup();
    let barrier = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let race = |round| {
                        barrier.wait();
                        let registration = dedup.register(Fingerprint(round), NOW);
                        // Nobody gives up before all have tried.
                        barrier.wait();
                        matches!(registration, Registration::New(_))
                    };
                    (0..ROUNDS).map(race).collect::<Vec<_>>()
                })
            })
            .collect();
        let won: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        for round in 0..ROUNDS as usize {
            assert_eq!(won.iter().filter(|won| won[round]).count(), 1, "round {round}");
        }
    });
    assert_eq!(dedup.in_flight(), 0);
}

/// Clients that send the same bodies over and over, firsts that fail now and then: each body counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_over_many_connections_count_each_body_once() {
    const BODIES: u64 = 200;
    let dedup = dedup();
    let counted: Arc<Mutex<Vec<u64>>> = Arc::default();
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let (dedup, counted) = (dedup.clone(), Arc::clone(&counted));
        clients.spawn(async move {
            for body in 0..BODIES {
                let answer = TraceAnswer { accepted: body, late: 0, future: 0 };
                let mut tries = 0;
                let answered = loop {
                    tries += 1;
                    match dedup.register(Fingerprint(body.into()), NOW) {
                        Registration::Known(answer) => break answer,
                        Registration::InFlight(waiter) => match waiter.await.unwrap() {
                            Ok(answer) => break answer,
                            Err(refusal) => assert!(refusal.is_retryable()),
                        },
                        Registration::New(registered) => {
                            tokio::task::yield_now().await;
                            if (body + client + tries) % 3 == 0 {
                                drop(registered);
                                continue;
                            }
                            counted.lock().unwrap().push(body);
                            registered.complete(NOW, answer);
                            break answer;
                        }
                    }
                };
                assert_eq!(answered, answer);
            }
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(60), clients.join_all());
    all.await.expect("nobody waits for ever");
    let mut counted = std::mem::take(&mut *counted.lock().unwrap());
    counted.sort_unstable();
    assert_eq!(counted, (0..BODIES).collect::<Vec<_>>());
    assert_eq!((dedup.in_flight(), dedup.len()), (0, BODIES));
}
