//! The process's allocator, and how much of it is in use: what the memory ceiling is measured by.
//!
//! mimalloc keeps what requests free for the next ones; the C library's gives it back to the kernel and
//! pays for it in page faults. Each thread counts for itself and hands on what has come together, so
//! the figure is at most [`HANDED_ON_BYTES`] a thread behind. The engine's caches and write buffers are not
//! in it: they are C++'s, and bounded by their own options.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use mimalloc::MiMalloc;
use tributary_proto::{Metric, MetricValue};

/// Put it in place with `#[global_allocator]`.
pub struct Counted;

const HANDED_ON_BYTES: i64 = 32 << 10;

static USED: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static OF_THREAD: Cell<i64> = const { Cell::new(0) };
}

/// Bytes that the process has allocated and not freed.
pub fn used_bytes() -> usize {
    usize::try_from(USED.load(Relaxed)).unwrap_or(0)
}

pub fn metrics() -> Vec<Metric> {
    vec![Metric {
        name: "tributary_memory_allocated_bytes",
        help: "Memory in use as the allocator has it, without the storage engine's own.",
        labels: Vec::new(),
        value: MetricValue::Gauge(used_bytes() as f64),
    }]
}

fn count(bytes: i64) {
    // A thread that is ending has nothing to count in any more: it goes to the sum at once.
    let counted = OF_THREAD.try_with(|of_thread| {
        let sum = of_thread.get() + bytes;
        if sum.abs() < HANDED_ON_BYTES {
            of_thread.set(sum);
        } else {
            of_thread.set(0);
            USED.fetch_add(sum, Relaxed);
        }
    });
    if counted.is_err() {
        USED.fetch_add(bytes, Relaxed);
    }
}

#[allow(unsafe_code, reason = "an allocator cannot be made otherwise")]
// SAFETY: every call is handed on as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes as i64 - layout.size() as i64);
        unsafe { MiMalloc.realloc(at, layout, bytes) }
    }
}
