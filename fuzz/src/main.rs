//! `seeds DIR`: writes the seeds of every target into folders below `DIR`.

use std::path::PathBuf;

use anyhow::Context;
// What is built for fuzzing calls into its runtime, this program too.
use libfuzzer_sys as _;
use tributary_fuzz::seeds;

fn main() -> anyhow::Result<()> {
    let dir = std::env::args_os().nth(1).context("name the folder: seeds DIR")?;
    let dir = PathBuf::from(dir);
    for (target, seeds) in seeds::all()? {
        let dir = dir.join(target);
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        for (number, bytes) in seeds.iter().enumerate() {
            let path = dir.join(format!("{number:03}"));
            std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        }
        println!("{target}: {} seeds in {}", seeds.len(), dir.display());
    }
    Ok(())
}
