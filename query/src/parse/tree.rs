//! The call into the parser.

use std::panic::{AssertUnwindSafe, catch_unwind};

use promql_parser::parser::Expr;

use super::guard;
use super::limits::Limits;
use crate::error::Error;

pub(crate) fn parse(query: &str, limits: &Limits) -> Result<Expr, Error> {
    let checked = guard::check(query, limits)?;
    // The guard refuses what is known to make the parser panic. What is not known must cost one
    // query, not a task or the process. The parser keeps no state that a panic could leave broken.
    catch_unwind(AssertUnwindSafe(|| promql_parser::parser::parse(&checked)))
        .map_err(|_| Error::Parse("the parser failed on this query".into()))?
        .map_err(Error::Parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stack of a tokio worker.
    const STACK_BYTES: usize = 2 << 20;

    fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(test);
        thread.expect("spawns").join().expect("no panic");
    }

    fn error(query: &str) -> String {
        parse(query, &Limits::default()).expect_err("refused").to_string()
    }

    fn accepts(query: &str) -> bool {
        parse(query, &Limits::default()).is_ok()
    }

    #[test]
    fn hostile_queries_are_refused() {
        on_a_small_stack(|| {
            assert!(error(&"a".repeat(1 << 20)).contains("bytes 1048576 exceeds the limit"));
            let deep = format!("{}1{}", "(".repeat(30_000), ")".repeat(30_000));
            assert!(error(&deep).contains("nesting"));
            assert!(error(&format!("1{}", "+1".repeat(30_000))).contains("operators"));
            assert!(error(&format!("a{}", " or b".repeat(5_000))).contains("operators"));
            assert!(error(&format!("{}a", "-".repeat(60_000))).contains("operators"));
            assert!(error(&"sum(".repeat(10_000)).contains("nesting"));
            assert!(error(&"a[".repeat(10_000)).contains("nesting"));
            let regexes = "a=~\"x{9}\",".repeat(1_000);
            assert!(error(&format!("{{{regexes}}}")).contains("regular expressions"));
            assert!(error("{a=~\"((x{99}){99}){99}\"}").contains("regular expression"));
        });
    }

    #[test]
    fn the_largest_queries_within_the_limits_are_survived() {
        on_a_small_stack(|| {
            let Limits { nesting, operators, .. } = Limits::default();
            let chain = "a+".repeat(operators) + "a";
            assert!(accepts(&chain));
            assert!(accepts(&format!("{}a", "a^".repeat(operators))));
            assert!(accepts(&format!("{}a", "-".repeat(operators))));
            assert!(accepts(&format!("{}a{}", "sum(".repeat(nesting), ")".repeat(nesting))));
            // Aggregations copy their operand: the deepest tree, copied as often as can be.
            let open = "sum(".repeat(nesting);
            assert!(accepts(&format!("{open}{chain}{}", ")".repeat(nesting))));
            let topk = format!("{}a{}", "topk(1,".repeat(nesting), ")".repeat(nesting));
            assert!(accepts(&topk));
            assert!(accepts(&format!("{{{}}}", "a=\"b\",".repeat(9_000))));
            assert!(accepts(&format!("sum by ({}) (a)", "b,".repeat(20_000))));
            assert!(!accepts(&"!".repeat(60_000)));
            assert!(!accepts(&format!("a{}", " offset 1m".repeat(400))));
            assert!(!accepts(&"foo[5m]".repeat(9_000)));
        });
    }

    #[test]
    fn a_panic_of_the_parser_is_an_error() {
        for query in ["a[1e30]", "a offset inf", "a offset -NaN", "a[5m:1e99]", "a offset 1e999"] {
            assert!(error(query).contains("out of range"), "{query}");
        }
    }
}
