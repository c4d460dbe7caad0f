//! What the generator itself costs: building a request, and making another of it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tributary_bench::spans::{Generator, Request, Shape};

const REQUESTS: usize = 400;
const ROUNDS: usize = 20;

fn main() -> anyhow::Result<()> {
    for (name, shape) in [
        ("512 spans, 1000 groups", Shape::default()),
        ("50 spans, 1000 groups", Shape::of(50, 1000)),
        ("512 spans, 20000 groups", Shape::of(512, 20_000)),
        ("512 spans, shuffled", Shape { shuffled: true, ..Shape::default() }),
        ("512 spans, distinct values", Shape { distinct_values: true, ..Shape::default() }),
    ] {
        let spans = REQUESTS * shape.spans;
        let mut generator = Generator::new(shape, 1)?;
        let began = Instant::now();
        let mut requests: Vec<Request> = (0..REQUESTS).map(|_| generator.request()).collect();
        let built = began.elapsed();
        let bytes: usize = requests.iter().map(|request| request.body().len()).sum();
        let stamped =
            (0..ROUNDS).map(|round| stamp(&mut requests, round)).min().unwrap_or_default();
        println!(
            "{name:<28} {:>4} B a span   built in {:>6.1} ns a span   stamped in {:>5.1} ns a span",
            bytes / spans,
            each_ns(built, spans),
            each_ns(stamped, spans),
        );
    }
    Ok(())
}

fn stamp(requests: &mut [Request], round: usize) -> Duration {
    let began = Instant::now();
    for (n, request) in requests.iter_mut().enumerate() {
        request.stamp((round * REQUESTS + n) as u64, 1_700_000_000_000_000_000);
        black_box(request.body());
    }
    began.elapsed()
}

fn each_ns(took: Duration, spans: usize) -> f64 {
    took.as_nanos() as f64 / spans as f64
}
