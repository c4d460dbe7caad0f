//! `tributary-sim --seeds N [--start S] [--plant NAME] [--print]`: runs the scenario from many seeds.

#[cfg(madsim)]
mod arguments;
#[cfg(madsim)]
mod minima;
#[cfg(madsim)]
mod runner;

#[cfg(madsim)]
fn main() -> anyhow::Result<std::process::ExitCode> {
    let arguments = arguments::Arguments::parse(std::env::args().skip(1))?;
    match arguments.one {
        Some(seed) => Ok(runner::one(seed, &arguments)),
        None => runner::many(&arguments),
    }
}

#[cfg(not(madsim))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "the simulator is built with flags and a target folder of its own: make sim SEEDS=20"
    );
    std::process::ExitCode::FAILURE
}
