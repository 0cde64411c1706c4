//! `longhaul curves`: training runs as a drawing.

use super::Failure;
use anyhow::{Context, anyhow};
use longhaul::pillar::curves::{Curve, curves_svg};
use longhaul::pillar::records::EpochRecord;
use std::path::{Path, PathBuf};

/// Draw the accuracy and loss of training runs by epoch
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul curves results/pillar/polynomial results/pillar/relu --out curves.svg\n  longhaul curves results/relu --title 'ResNet-20, ReLU'\n\nEvery folder is the output of a `longhaul train`, finished or not; the legend calls it by its name."
)]
pub struct Args {
    /// Output folders of `longhaul train`
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Title of the drawing
    #[arg(long, default_value = "Training")]
    title: String,
    /// The SVG file
    #[arg(long, value_name = "FILE", default_value = "curves.svg")]
    out: PathBuf,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let curves = args.folders.iter().map(|folder| read(folder)).collect::<anyhow::Result<Vec<_>>>();
    let svg = curves_svg(&curves.map_err(Failure::bad_input)?, &args.title).map_err(|problem| anyhow!(problem))?;
    std::fs::write(&args.out, svg).with_context(|| format!("cannot write {}", args.out.display()))?;
    Ok(super::print(&args.out.display().to_string())?)
}

fn read(folder: &Path) -> anyhow::Result<Curve> {
    let path = folder.join("epochs.csv");
    let mut reader = csv::Reader::from_path(&path)
        .with_context(|| format!("cannot read {}; name output folders of `longhaul train`", path.display()))?;
    let epochs = reader.deserialize().collect::<Result<Vec<EpochRecord>, _>>();
    let epochs = epochs.with_context(|| format!("{}: no table of epochs", path.display()))?;
    let name = folder.canonicalize()?.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Curve { name, epochs })
}
