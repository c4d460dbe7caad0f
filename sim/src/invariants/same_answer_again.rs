//! Law 3: a repeat gets the first answer, to the last span that was late then, whatever the clock says
//! by now.

use tributary_edge::TraceAnswer;

use super::{Violation, violated};

/// `possible`: what the request can be answered by its content. `first`: what it was answered, if the
/// edge must remember it.
pub(crate) fn same_answer_again(
    request: usize,
    possible: &[TraceAnswer],
    first: Option<TraceAnswer>,
    answer: TraceAnswer,
) -> Result<(), Violation> {
    match first {
        Some(first) if answer != first => violated(
            "same answer again",
            format!("request {request} is answered {answer:?} and was answered {first:?} before"),
        ),
        None if !possible.contains(&answer) => violated(
            "same answer again",
            format!("request {request} is answered {answer:?}, it can only be {possible:?}"),
        ),
        _ => Ok(()),
    }
}
