//! The walk over the syntax tree that writes the program.
//!
//! It keeps its own stack of what is still to visit, since the tree of a long chain of operators is
//! as deep as the chain is long.

use std::time::Duration;

use promql_parser::label::Labels as NameList;
use promql_parser::parser::token::{self, TokenId};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, Offset, VectorMatchCardinality,
    VectorSelector,
};

use super::op::{AggregateOp, Arithmetic, BinaryOp, Comparison, Grouping, Matching, Op, SetOp};
use super::{Plan, RangeFunction, Reach, Root, Selector, SelectorId};
use crate::error::Error;
use crate::parse::matchers;
use crate::source::{PushDown, TimeMs};

/// Three thousand years: what is added to and taken from evaluation times stays far from overflow.
const MAX_DURATION_MS: u128 = 100_000_000_000_000;

pub(crate) fn compile(expr: &Expr) -> Result<Plan, Error> {
    let mut compiler = Compiler::default();
    let root = match without_parens(expr) {
        Expr::StringLiteral(literal) => Root::Text(literal.val.clone()),
        Expr::MatrixSelector(matrix) => {
            let reach = Reach::Range(positive_millis(matrix.range)?);
            Root::Samples(compiler.selector(&matrix.vs, reach, None)?)
        }
        other => Root::Program(compiler.program(other)?),
    };
    Ok(Plan { root, selectors: compiler.selectors })
}

#[derive(Default)]
struct Compiler {
    selectors: Vec<Selector>,
}

/// What is still to do, latest first.
enum Task<'a> {
    /// The labels are those that an aggregation right around the expression keeps.
    Visit(&'a Expr, Option<Vec<String>>),
    Emit(Op),
}

impl Compiler {
    fn program(&mut self, expr: &Expr) -> Result<Vec<Op>, Error> {
        let mut program = Vec::new();
        let mut tasks = vec![Task::Visit(expr, None)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Emit(op) => program.push(op),
                Task::Visit(expr, kept) => self.visit(expr, kept, &mut tasks)?,
            }
        }
        Ok(program)
    }

    fn visit<'a>(
        &mut self,
        expr: &'a Expr,
        kept: Option<Vec<String>>,
        tasks: &mut Vec<Task<'a>>,
    ) -> Result<(), Error> {
        match expr {
            Expr::Paren(paren) => tasks.push(Task::Visit(&paren.expr, kept)),
            Expr::NumberLiteral(literal) => tasks.push(Task::Emit(Op::Number(literal.val))),
            Expr::Unary(unary) => {
                tasks.push(Task::Emit(Op::Negate));
                tasks.push(Task::Visit(&unary.expr, None));
            }
            Expr::VectorSelector(selector) => {
                let hint = kept.map(|by| PushDown { function: None, by: Some(by) });
                let id = self.selector(selector, Reach::Lookback, hint)?;
                tasks.push(Task::Emit(Op::Lookup(id)));
            }
            Expr::Binary(binary) => {
                tasks.push(Task::Emit(binary_op(binary)?));
                tasks.push(Task::Visit(&binary.rhs, None));
                tasks.push(Task::Visit(&binary.lhs, None));
            }
            Expr::Aggregate(aggregate) => {
                let (op, grouping) = aggregation(aggregate)?;
                // Only sums may be taken in parts before the rest of the query sees the series.
                let kept = match (op, &grouping) {
                    (AggregateOp::Sum, Grouping::By(names)) => Some(names.clone()),
                    _ => None,
                };
                tasks.push(Task::Emit(Op::Aggregate { op, grouping }));
                tasks.push(Task::Visit(&aggregate.expr, kept));
            }
            Expr::Call(call) => self.call(call, kept, tasks)?,
            Expr::Subquery(_) => return Err(unsupported("subquery")),
            Expr::StringLiteral(_) | Expr::MatrixSelector(_) | Expr::Extension(_) => {
                return Err(Error::Parse("expected an instant vector or a scalar".into()));
            }
        }
        Ok(())
    }

    fn call<'a>(
        &mut self,
        call: &'a Call,
        kept: Option<Vec<String>>,
        tasks: &mut Vec<Task<'a>>,
    ) -> Result<(), Error> {
        let args = &call.args.args;
        let op = match (call.func.name, args.len()) {
            ("time", 0) => Op::Time,
            ("vector", 1) => Op::VectorOf,
            ("histogram_quantile", 2) => Op::HistogramQuantile,
            (name, count) => {
                let function = RangeFunction::named(name)
                    .filter(|_| count == 1)
                    .ok_or_else(|| unsupported(&format!("function {name}")))?;
                let Expr::MatrixSelector(matrix) = without_parens(&args[0]) else {
                    return Err(unsupported("subquery"));
                };
                let range = positive_millis(matrix.range)?;
                let hint = PushDown { function: Some((name.to_owned(), range)), by: kept };
                let id = self.selector(&matrix.vs, Reach::Range(range), Some(hint))?;
                tasks.push(Task::Emit(Op::Windowed(id, function)));
                return Ok(());
            }
        };
        tasks.push(Task::Emit(op));
        tasks.extend(args.iter().rev().map(|arg| Task::Visit(arg, None)));
        Ok(())
    }

    fn selector(
        &mut self,
        parsed: &VectorSelector,
        reach: Reach,
        hint: Option<PushDown>,
    ) -> Result<SelectorId, Error> {
        if parsed.at.is_some() {
            return Err(unsupported("the @ modifier"));
        }
        let offset = match parsed.offset {
            None => 0,
            Some(Offset::Pos(offset)) => millis(offset)?,
            Some(Offset::Neg(offset)) => -millis(offset)?,
        };
        let selector = Selector { matchers: matchers(parsed)?, offset, reach, hint };
        let known = self.selectors.iter().position(|s| s.same(&selector));
        Ok(SelectorId(known.unwrap_or_else(|| {
            self.selectors.push(selector);
            self.selectors.len() - 1
        })))
    }
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

fn aggregation(parsed: &AggregateExpr) -> Result<(AggregateOp, Grouping), Error> {
    let op = match parsed.op.id() {
        token::T_SUM => AggregateOp::Sum,
        token::T_AVG => AggregateOp::Avg,
        token::T_MIN => AggregateOp::Min,
        token::T_MAX => AggregateOp::Max,
        token::T_COUNT => AggregateOp::Count,
        _ => return Err(unsupported(&format!("aggregation {}", parsed.op))),
    };
    let grouping = match &parsed.modifier {
        None => Grouping::By(Vec::new()),
        Some(LabelModifier::Include(names)) => Grouping::By(sorted(names)),
        Some(LabelModifier::Exclude(names)) => Grouping::Without(sorted(names)),
    };
    Ok((op, grouping))
}

fn binary_op(parsed: &BinaryExpr) -> Result<Op, Error> {
    let modifier = parsed.modifier.as_ref();
    match modifier.map(|m| &m.card) {
        Some(VectorMatchCardinality::ManyToOne(_)) => return Err(unsupported("group_left")),
        Some(VectorMatchCardinality::OneToMany(_)) => return Err(unsupported("group_right")),
        _ => {}
    }
    if modifier.is_some_and(|m| m.fill_values.lhs.is_some() || m.fill_values.rhs.is_some()) {
        return Err(unsupported("fill"));
    }
    let matching = match modifier.and_then(|m| m.matching.as_ref()) {
        None => Matching::Ignoring(Vec::new()),
        Some(LabelModifier::Include(names)) => Matching::On(sorted(names)),
        Some(LabelModifier::Exclude(names)) => Matching::Ignoring(sorted(names)),
    };
    if let Some(op) = set_op(parsed.op.id()) {
        return Ok(Op::Set { op, matching });
    }
    let op = element_op(parsed.op.id())
        .ok_or_else(|| unsupported(&format!("operator {}", parsed.op)))?;
    Ok(Op::Binary { op, to_bool: parsed.return_bool(), matching })
}

fn set_op(id: TokenId) -> Option<SetOp> {
    match id {
        token::T_LAND => Some(SetOp::And),
        token::T_LOR => Some(SetOp::Or),
        token::T_LUNLESS => Some(SetOp::Unless),
        _ => None,
    }
}

fn element_op(id: TokenId) -> Option<BinaryOp> {
    Some(match id {
        token::T_ADD => BinaryOp::Arithmetic(Arithmetic::Add),
        token::T_SUB => BinaryOp::Arithmetic(Arithmetic::Sub),
        token::T_MUL => BinaryOp::Arithmetic(Arithmetic::Mul),
        token::T_DIV => BinaryOp::Arithmetic(Arithmetic::Div),
        token::T_MOD => BinaryOp::Arithmetic(Arithmetic::Mod),
        token::T_POW => BinaryOp::Arithmetic(Arithmetic::Pow),
        token::T_EQLC => BinaryOp::Comparison(Comparison::Equal),
        token::T_NEQ => BinaryOp::Comparison(Comparison::NotEqual),
        token::T_GTR => BinaryOp::Comparison(Comparison::Greater),
        token::T_LSS => BinaryOp::Comparison(Comparison::Less),
        token::T_GTE => BinaryOp::Comparison(Comparison::GreaterOrEqual),
        token::T_LTE => BinaryOp::Comparison(Comparison::LessOrEqual),
        _ => return None,
    })
}

fn sorted(names: &NameList) -> Vec<String> {
    let mut names = names.labels.clone();
    names.sort();
    names.dedup();
    names
}

fn positive_millis(duration: Duration) -> Result<TimeMs, Error> {
    match millis(duration)? {
        0 => Err(Error::Parse("duration must be greater than 0".into())),
        millis => Ok(millis),
    }
}

fn millis(duration: Duration) -> Result<TimeMs, Error> {
    match duration.as_millis() {
        millis if millis <= MAX_DURATION_MS => Ok(millis as TimeMs),
        _ => Err(Error::Duration(format!("{duration:?}"))),
    }
}

fn unsupported(construct: &str) -> Error {
    Error::Unsupported(construct.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Limits, parse};

    fn plan(query: &str) -> Result<Plan, Error> {
        compile(&parse(query, &Limits::default())?)
    }

    fn error(query: &str) -> String {
        plan(query).expect_err("refused").to_string()
    }

    #[test]
    fn programs_are_postfix() {
        let Root::Program(program) = plan("-a + 2 * time()").expect("compiles").root else {
            panic!("not a program");
        };
        let binary = |op| Op::Binary {
            op: BinaryOp::Arithmetic(op),
            to_bool: false,
            matching: Matching::Ignoring(Vec::new()),
        };
        assert_eq!(
            program,
            [
                Op::Lookup(SelectorId(0)),
                Op::Negate,
                Op::Number(2.0),
                Op::Time,
                binary(Arithmetic::Mul),
                binary(Arithmetic::Add),
            ]
        );
    }

    #[test]
    fn a_selection_named_twice_is_made_once() {
        let plan = plan("a / a + rate(a[1m]) + a offset 1m").expect("compiles");
        assert_eq!(plan.selectors.len(), 3);
    }

    #[test]
    fn sums_hint_at_the_labels_they_keep() {
        let plan = plan("sum by (b, a) ((rate(x[5m]))) + max by (a) (y)").expect("compiles");
        let by = Some(vec!["a".to_owned(), "b".to_owned()]);
        let function = Some(("rate".to_owned(), 300_000));
        assert_eq!(plan.selectors[0].hint, Some(PushDown { function, by }));
        assert_eq!(plan.selectors[1].hint, None);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (query, construct) in [
            ("label_replace(a, \"b\", \"c\", \"d\", \"e\")", "function label_replace"),
            ("topk(3, a)", "aggregation topk"),
            ("a * on(b) group_left a", "group_left"),
            ("a @ 5", "the @ modifier"),
            ("rate(a[5m:1m])", "subquery"),
            ("a[5m:1m]", "subquery"),
            ("a atan2 a", "operator atan2"),
            ("a + fill(0) b", "fill"),
            ("{a=\"1\" or b=\"2\"}", "\"or\" between label matchers"),
        ] {
            assert_eq!(error(query), format!("{construct} is not supported yet"), "{query}");
        }
    }

    #[test]
    fn empty_ranges_are_refused() {
        assert!(error("rate(a[0])").contains("duration must be greater than 0"));
    }
}
