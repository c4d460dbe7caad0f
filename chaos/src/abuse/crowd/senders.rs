//! Senders of bad bodies, each at its own pace, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use super::answers::AnswersOf;
use super::bodies::Body;
use super::link::{Link, Protocol};
use crate::load::Ports;

const BOMBERS: u64 = 32;
/// Of each, if it is answered as soon: 32 bombs a second in all.
const BOMB_EVERY: Duration = Duration::from_secs(1);
const DIVERS: u64 = 4;
/// Of each: 20 a second in all.
const DEEP_EVERY: Duration = Duration::from_millis(200);
/// After a connection that broke.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) fn join_bombs(
    ports: Ports,
    bodies: &Arc<[Body]>,
    answers: &AnswersOf,
    crowd: &mut JoinSet<()>,
) {
    for number in 0..BOMBERS {
        crowd.spawn(send(ports, number, BOMB_EVERY, bodies.clone(), answers.clone()));
    }
}

pub(super) fn join_deep(
    ports: Ports,
    bodies: &Arc<[Body]>,
    answers: &AnswersOf,
    crowd: &mut JoinSet<()>,
) {
    for number in 0..DIVERS {
        crowd.spawn(send(ports, number, DEEP_EVERY, bodies.clone(), answers.clone()));
    }
}

async fn send(ports: Ports, number: u64, every: Duration, bodies: Arc<[Body]>, answers: AnswersOf) {
    let mut rng = StdRng::seed_from_u64(number);
    let mut link = Link::new(ports);
    // Not all at one moment.
    tokio::time::sleep(every.mul_f64(rng.r#gen())).await;
    let mut due = tokio::time::interval(every);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let body = &bodies[rng.gen_range(0..bodies.len())];
        let by_grpc = !body.is_json && rng.gen_bool(0.5);
        let protocol = if by_grpc { Protocol::Grpc } else { Protocol::Http };
        let answer = link.call(protocol, body).await;
        if answer == "broken off" {
            tokio::time::sleep(PAUSE).await;
        }
        answers.note(answer);
    }
}
