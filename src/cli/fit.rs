//! `longhaul fit`: the best polynomial with quantised coefficients.

use super::{Failure, print};
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use longhaul::pillar::fit::{DEFAULT_STEP, Fit, Problem, Target};
use longhaul::pillar::plot::fit_svg;
use std::fmt::Write;
use std::path::PathBuf;

/// Fit a polynomial to an activation function, its coefficients quantised
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul fit --function relu --degree 4\n  longhaul fit --function gelu --degree 6 --range 4 --precision 12 --plot gelu.svg\n  longhaul fit --function relu --degree 2 --format json > relu.json\n\nMinimises sum (sum c_k x^k - trunc(2^p f(x)))^2 over the grid, for integers |c_k| <= 2^(p-1), and proves that no others are better. The TOML lines belong into a [[protocol]] section of a scenario; protocols evaluate degrees up to 8."
)]
pub struct Args {
    /// The function
    #[arg(long, default_value = "relu", value_parser = ["relu", "gelu", "silu", "sigmoid"])]
    function: String,
    /// Degree of the polynomial, 1 to 9
    #[arg(long, value_name = "D", default_value_t = 4)]
    degree: usize,
    /// The grid spans [-R, R]
    #[arg(long, value_name = "R", default_value_t = 5.0)]
    range: f64,
    /// Fractional bits of the coefficients
    #[arg(long, value_name = "P", default_value_t = 10)]
    precision: u32,
    /// Distance of grid points
    #[arg(long, value_name = "S", default_value_t = DEFAULT_STEP)]
    step: f64,
    /// How it is printed
    #[arg(long, value_enum, default_value = "toml")]
    format: FitFormat,
    /// Draw function, polynomial and error as SVG, too
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// How a polynomial is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FitFormat {
    /// Lines for a scenario.
    Toml,
    /// One object.
    Json,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let target = Target::ALL.iter().find(|(name, _)| *name == args.function).expect("clap knows the names").1;
    let problem =
        Problem { target, degree: args.degree, range: args.range, precision_bits: args.precision, step: args.step };
    let fit = problem.solve().map_err(Failure::bad_input)?;
    if let Some(path) = &args.plot {
        let title = format!("{}, degree {}", args.function, args.degree);
        let svg = fit_svg(&problem, &fit, &title).map_err(|problem| anyhow!(problem))?;
        std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(print(&match args.format {
        FitFormat::Toml => toml(args, &problem, &fit),
        FitFormat::Json => serde_json::to_string(&serde_json::json!({
            "coefficients": fit.coefficients(),
            "integers": fit.integers,
            "precision": fit.precision_bits,
            "objective": fit.objective,
        }))?,
    })?)
}

fn toml(args: &Args, problem: &Problem, fit: &Fit) -> String {
    let mut text = String::new();
    let rms = (fit.objective / problem.grid().len() as f64).sqrt() * (-f64::from(fit.precision_bits)).exp2();
    writeln!(
        text,
        "# {} on [-{r}, {r}], step {}: objective {}, root mean square error {rms:.3e}",
        args.function,
        args.step,
        fit.objective,
        r = args.range,
    )
    .expect("a string takes everything");
    write!(text, "polynomial = {:?}\nprecision_bits = {}", fit.coefficients(), fit.precision_bits)
        .expect("a string takes everything");
    text
}
