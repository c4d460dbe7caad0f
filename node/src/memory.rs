//! The process's allocator, and how much of it is in use: what the memory ceiling is measured by.
//!
//! mimalloc keeps what requests free for the next ones; the C library's gives it back to the kernel and
//! pays for it in page faults. Each thread counts for itself and hands on what has come together, so
//! the figure is at most [`HANDED_ON_BYTES`] a thread behind.
//!
//! Besides there is what the kernel holds resident and this allocator did not give: the engine's caches and
//! write buffers, which are C++'s, the program, stacks, and what was freed and not given back yet. It moves slowly, so
//! it is looked up now and then, and what is in use is both.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::fs::File;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::thread::available_parallelism;
use std::time::Instant;

use mimalloc::MiMalloc;
use tributary_proto::{Metric, MetricValue};

/// Put it in place with `#[global_allocator]`.
pub struct Counted;

const HANDED_ON_BYTES: i64 = 32 << 10;

static USED: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static OF_THREAD: Cell<i64> = const { Cell::new(0) };
}

/// What the process has in memory: what is allocated, and what was resident beside it at the last look.
pub fn used_bytes() -> usize {
    allocated_bytes() + BESIDE.bytes()
}

/// Bytes that the process has allocated and not freed.
fn allocated_bytes() -> usize {
    usize::try_from(USED.load(Relaxed)).unwrap_or(0)
}

/// What is resident and not allocated here.
struct Beside {
    since: OnceLock<Instant>,
    /// The kernel's page with the process's size; none where there is no such page.
    page: OnceLock<Option<File>>,
    /// Since `since`.
    look_at_ms: AtomicU64,
    bytes: AtomicU64,
}

static BESIDE: Beside = Beside {
    since: OnceLock::new(),
    page: OnceLock::new(),
    look_at_ms: AtomicU64::new(0),
    bytes: AtomicU64::new(0),
};

const LOOK_EVERY_MS: u64 = 10;

impl Beside {
    fn bytes(&self) -> usize {
        let now_ms = self.since.get_or_init(Instant::now).elapsed().as_millis() as u64;
        let due = self.look_at_ms.load(Relaxed);
        let next = now_ms + LOOK_EVERY_MS;
        // Of those who find it due, one looks.
        if now_ms >= due && self.look_at_ms.compare_exchange(due, next, Relaxed, Relaxed).is_ok() {
            let beside = self.resident_bytes().saturating_sub(allocated_bytes() as u64);
            self.bytes.store(beside, Relaxed);
        }
        self.bytes.load(Relaxed) as usize
    }

    /// Zero where the kernel does not say.
    fn resident_bytes(&self) -> u64 {
        let page = self.page.get_or_init(|| File::open("/proc/self/statm").ok());
        let mut text = [0; 128];
        let Some(read) = page.as_ref().and_then(|page| page.read_at(&mut text, 0).ok()) else {
            return 0;
        };
        let pages = str::from_utf8(&text[..read]).ok().and_then(|text| text.split(' ').nth(1));
        pages.and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * page_bytes()
    }
}

#[allow(unsafe_code, reason = "the C library's answer has no safe door here")]
fn page_bytes() -> u64 {
    // SAFETY: it reads a constant of the system.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// A ceiling below this is worth some page faults.
const LOW_BYTES: usize = 512 << 20;
/// What requests free is used again within milliseconds; what a window's end frees is not for seconds.
const DELAY_MS: libc::c_long = 100;
const LOW_DELAY_MS: libc::c_long = 10;

/// Of the C library's heaps where the ceiling is low.
const LOW_HEAPS: usize = 2;

/// Has what was freed given back soon. By default this allocator keeps it for a second, and the C library's,
/// which is the engine's, in eight heaps for each processor.
pub fn keep_below(ceiling_bytes: usize) {
    if ceiling_bytes < LOW_BYTES {
        give_back_after(LOW_DELAY_MS);
        keep_c_heaps(LOW_HEAPS);
    } else {
        give_back_after(DELAY_MS);
        keep_c_heaps(available_parallelism().map_or(LOW_HEAPS, NonZero::get));
    }
}

#[allow(unsafe_code, reason = "the setting has no safe door")]
fn give_back_after(delay_ms: libc::c_long) {
    /// `mi_option_purge_delay`, in milliseconds, as mimalloc's header numbers it.
    const PURGE_DELAY: libc::c_int = 15;
    unsafe extern "C" {
        fn mi_option_set(option: libc::c_int, value: libc::c_long);
    }
    // SAFETY: the library that the allocator is linked from has it; it sets a number.
    unsafe { mi_option_set(PURGE_DELAY, delay_ms) }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library's setting has no safe door")]
fn keep_c_heaps(heaps: usize) {
    const MMAP_FROM_BYTES: i32 = 256 << 10;
    // SAFETY: both set a number; one that is not taken leaves the default.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::try_from(heaps).unwrap_or(i32::MAX));
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_FROM_BYTES);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_c_heaps(_: usize) {}

pub fn metrics() -> Vec<Metric> {
    let gauge = |name, help, bytes| Metric {
        name,
        help,
        labels: Vec::new(),
        value: MetricValue::Gauge(bytes as f64),
    };
    vec![
        gauge(
            "tributary_memory_allocated_bytes",
            "Memory in use as the allocator has it, without the storage engine's own.",
            allocated_bytes(),
        ),
        gauge(
            "tributary_memory_used_bytes",
            "Memory in use as the ceiling has it: allocated, and resident beside that.",
            used_bytes(),
        ),
    ]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests' allocator is another one, so all that is resident is beside.
    #[test]
    fn what_is_resident_and_not_allocated_here_counts() {
        let kept = std::hint::black_box(vec![1u8; 64 << 20]);
        let resident = BESIDE.resident_bytes();
        assert!(resident > 64 << 20, "{resident}");
        let beside = Beside {
            since: OnceLock::new(),
            page: OnceLock::new(),
            look_at_ms: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        };
        assert!(beside.bytes() > 64 << 20);
        drop(kept);
    }
}
