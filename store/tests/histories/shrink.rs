//! From a history that fails to a shorter one that fails too: steps go, then what is said in them.

use crate::history::{History, Step};

/// `fails` says what is wrong, if something is; it is asked at most `tries` times.
pub(crate) fn shrink(
    history: History,
    wrong: String,
    mut tries: usize,
    fails: impl Fn(&History) -> Option<String>,
) -> (History, String) {
    let mut best = (history, wrong);
    let mut size = best.0.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < best.0.steps.len() && tries > 0 {
            tries -= 1;
            let mut shorter = best.0.clone();
            shorter.steps.drain(at..(at + size).min(best.0.steps.len()));
            match fails(&shorter) {
                Some(wrong) => best = (shorter, wrong),
                None => at += size,
            }
        }
        size /= 2;
    }
    for step in 0..best.0.steps.len() {
        let mut at = 0;
        while tries > 0 {
            let mut shorter = best.0.clone();
            let (Step::Say { said, .. } | Step::CrashDuring { said, .. }) =
                &mut shorter.steps[step].step
            else {
                break;
            };
            if at >= said.len() {
                break;
            }
            said.remove(at);
            tries -= 1;
            match fails(&shorter) {
                Some(wrong) => best = (shorter, wrong),
                None => at += 1,
            }
        }
    }
    best
}
