//! `longhaul init`: a commented scenario that runs as it is.

mod template;

use super::Failure;
use anyhow::anyhow;
use longhaul::nn::arch::{self, Architecture, Options};
use longhaul::nn::graph::Graph;
use longhaul::nn::onnx;
use longhaul::nn::weights::Zeros;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Write a commented scenario to start from
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul init                                   writes scenario.toml\n  longhaul init vgg.toml --model vgg16            another network, see `longhaul list models`\n  longhaul init mine.toml --model network.onnx    your own\n  longhaul init -                                 to standard output\n\nThen: longhaul run scenario.toml"
)]
pub struct Args {
    /// The file to write; - for standard output
    #[arg(default_value = "scenario.toml")]
    file: PathBuf,
    /// A built-in architecture (see `longhaul list models`), or an .onnx file
    #[arg(long, value_name = "ID|FILE.onnx", default_value = "minionn")]
    model: String,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

/// The network that the scenario is to name.
enum Network {
    Arch(&'static Architecture),
    /// The path as the scenario says it.
    Onnx(String),
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let to_stdout = args.file == Path::new("-");
    let (network, graph) = network(args, to_stdout).map_err(Failure::bad_input)?;
    let name = if to_stdout { "scenario".to_string() } else { scenario_name(&args.file) };
    let file = if to_stdout { PathBuf::from("scenario.toml") } else { args.file.clone() };
    let text = template::scenario(&name, &file, &network, &graph).map_err(Failure::bad_input)?;
    if to_stdout {
        return Ok(super::print(text.trim_end())?);
    }
    write(args, &text).map_err(Failure::bad_input)?;
    let file = args.file.display();
    let _ = writeln!(std::io::stderr(), "wrote {file}; next: longhaul run {file}");
    Ok(())
}

fn network(args: &Args, to_stdout: bool) -> anyhow::Result<(Network, Graph)> {
    let path = Path::new(&args.model);
    if path.extension().is_some_and(|extension| extension == "onnx") {
        let graph = onnx::load(path)?;
        return Ok((Network::Onnx(from_scenario(path, &args.file, to_stdout)?), graph));
    }
    let Some(architecture) = arch::find(&args.model) else {
        let ids: Vec<_> = arch::all().iter().map(|architecture| architecture.id).collect();
        return Err(match path.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") => anyhow!(
                "{}: a .safetensors file holds weights, not the network; name its architecture by --model ({}) and \
                 write weights = \"{}\" in [[model]]",
                args.model,
                ids.join(", "),
                args.model
            ),
            _ => {
                anyhow!("there is no architecture \"{}\"; known: {}; or name an .onnx file", args.model, ids.join(", "))
            }
        });
    };
    let graph = (architecture.build)(&Options::default(), &mut Zeros)?;
    Ok((Network::Arch(architecture), graph))
}

/// How a scenario in `file` names the file `path`: relative to its own folder, or in full.
fn from_scenario(path: &Path, file: &Path, to_stdout: bool) -> anyhow::Result<String> {
    let folder = file.parent().filter(|folder| !to_stdout && *folder != Path::new(""));
    let path = match folder {
        None => path.to_owned(),
        Some(folder) => match path.strip_prefix(folder) {
            Ok(below) => below.to_owned(),
            Err(_) => std::path::absolute(path)?,
        },
    };
    let text = path.to_str().ok_or_else(|| anyhow!("{}: the path is not UTF-8; rename it", path.display()))?;
    Ok(text.to_owned())
}

/// A name for the results: the file's, as far as it is usable.
fn scenario_name(file: &Path) -> String {
    let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.+".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(plain).skip_while(|c| !c.is_ascii_alphanumeric()).take(64).collect();
    if name.is_empty() { "scenario".to_string() } else { name }
}

fn write(args: &Args, text: &str) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true);
    match args.force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let file = args.file.display();
    let written = options.open(&args.file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        _ if args.file.is_dir() => anyhow!("{file} is a folder; name a file, for example {file}/scenario.toml"),
        ErrorKind::AlreadyExists => anyhow!("{file} exists; name another file, or replace it by --force"),
        ErrorKind::NotFound => anyhow!("{file}: the folder does not exist; create it, or name another"),
        _ => anyhow!("{file}: {error}; name a file in a folder that you may write to"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_named_like_their_files() {
        for (file, name) in [
            ("scenario.toml", "scenario"),
            ("dir/my net.toml", "my-net"),
            ("_x.toml", "x"),
            (".toml", "toml"),
            ("\u{e9}\u{e9}.toml", "scenario"),
        ] {
            assert_eq!(scenario_name(Path::new(file)), name, "{file}");
        }
    }

    #[test]
    fn networks_are_named_from_where_the_scenario_lies() {
        let named = |path, file| from_scenario(Path::new(path), Path::new(file), false).expect("UTF-8");
        assert_eq!(named("nets/a.onnx", "x.toml"), "nets/a.onnx");
        assert_eq!(named("nets/a.onnx", "nets/x.toml"), "a.onnx");
        let elsewhere = named("a.onnx", "nets/x.toml");
        assert!(Path::new(&elsewhere).is_absolute() && elsewhere.ends_with("a.onnx"), "{elsewhere}");
    }
}
