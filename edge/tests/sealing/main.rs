//! When windows are sealed, what is let go of behind that, and what is refused where nothing can be.

mod clock;
mod full;
mod observed;
mod wide;
mod world;
