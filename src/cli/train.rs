//! `longhaul train`: trains a network whose activations are polynomials, or its ReLU twin.

use super::Failure;
use anyhow::anyhow;
use std::path::PathBuf;

/// Train a network with polynomial activations by PILLAR, or with ReLU
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul train resnet20 --data ~/datasets/cifar-10-batches-bin\n  longhaul train resnet20 --relu --data ~/datasets/cifar-10-batches-bin --out results/relu\n  longhaul train vgg16 --device cuda --epochs 300 --data ~/datasets/cifar-10-batches-bin\n  longhaul train resnet20 --no-clip --reg-coef 0 --data ...   what happens without PILLAR\n\nWrites settings.json, epochs.csv, ranges.csv, checkpoint.safetensors after every epoch and weights.safetensors at the end to the output folder. Ctrl-C stops; --resume goes on from the last whole epoch. Needs a build with --features train (or cuda)."
)]
pub struct Args {
    /// Preset: resnet20, minionn, resnet32, resnet18 or vgg16, with the paper's settings where it gives them
    preset: String,
    /// Folder with the images' files
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What the files are
    #[arg(long, default_value = "cifar10", value_parser = ["cifar10", "cifar100", "idx"])]
    dataset: String,
    /// Use only the first N training images (and as many test images at most)
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Folder for the results [default: results/train-<preset>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on from the checkpoint in the output folder
    #[arg(long)]
    resume: bool,
    /// Start from these weights and not from random ones
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// What trains
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda"])]
    device: String,
    /// Threads on the processor [default: all]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Train with ReLU: no polynomial, no clipping, no penalty
    #[arg(long, conflicts_with_all = ["degree", "precision", "no_clip", "reg_coef", "reg_range", "reg_power", "no_reg_warmup"])]
    relu: bool,
    /// Degree of the polynomial that is fitted to ReLU [default: the preset's]
    #[arg(long, value_name = "D")]
    degree: Option<usize>,
    /// Fractional bits of its coefficients
    #[arg(long, value_name = "P", default_value_t = 10)]
    precision: u32,
    /// The polynomial is fitted on [-R, R], and pre-activations are clipped to it
    #[arg(long, value_name = "R", default_value_t = 5.0)]
    range: f64,
    /// Do not clip pre-activations
    #[arg(long)]
    no_clip: bool,
    /// Where the penalty on pre-activations starts to hurt [default: the preset's]
    #[arg(long, value_name = "R")]
    reg_range: Option<f64>,
    /// Weight of the penalty; 0 for none [default: the preset's]
    #[arg(long, value_name = "X")]
    reg_coef: Option<f64>,
    /// Exponent of the penalty, even
    #[arg(long, value_name = "E")]
    reg_power: Option<u32>,
    /// Start with the full penalty at once
    #[arg(long)]
    no_reg_warmup: bool,
    /// Passes over the training images [default: the preset's]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Images of a step
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Highest learning rate [default: the preset's]
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Epochs in which the learning rate grows from zero
    #[arg(long, value_name = "N")]
    lr_warmup: Option<u32>,
    /// Momentum
    #[arg(long, value_name = "X")]
    momentum: Option<f64>,
    /// Weight decay [default: the preset's]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// Share of the target spread over all classes
    #[arg(long, value_name = "X")]
    label_smoothing: Option<f64>,
    /// Decay of the average of the weights; 0 for the last weights
    #[arg(long, value_name = "X")]
    ema: Option<f64>,
    /// No random crops and flips
    #[arg(long)]
    no_augment: bool,
    /// Initial weights and the order of the images follow from it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[cfg(not(feature = "train"))]
pub fn main(_: &Args) -> Result<(), Failure> {
    Err(Failure::bad_input(anyhow!(
        "this longhaul was built without training; build it with `cargo build --release --features train` \
         (or `--features cuda` for an NVIDIA GPU)"
    )))
}

#[cfg(feature = "train")]
pub use with_training::main;

#[cfg(feature = "train")]
mod with_training {
    use super::super::run::with_ctrl_c;
    use super::super::{allocator, print};
    use super::{Args, Failure, PathBuf, anyhow};
    use anyhow::Context;
    use indicatif::{ProgressBar, ProgressStyle};
    use longhaul::nn::arch::{self, Options};
    use longhaul::nn::data::{Dataset, DatasetKind, Split, read_dataset};
    use longhaul::nn::random::RandomWeights;
    use longhaul::nn::safetensors::SafetensorsFile;
    use longhaul::nn::weights::WeightSource;
    use longhaul::pillar::fit::{self, Target};
    use longhaul::pillar::records::{EpochRecord, RangeRecord};
    use longhaul::pillar::train::checkpoint::Checkpoint;
    use longhaul::pillar::train::layout::Layout;
    use longhaul::pillar::train::{Activation, PRESETS, Preset, Progress, Run, Settings, TrainError, train};
    use serde::de::DeserializeOwned;
    use std::io::{IsTerminal, Write};
    use std::path::Path;

    type Cpu = burn::backend::Autodiff<burn::backend::Flex>;

    /// The two tables of a run, written anew after each epoch: a few kilobytes.
    struct Tables {
        folder: PathBuf,
        epochs: Vec<EpochRecord>,
        ranges: Vec<RangeRecord>,
    }

    impl Tables {
        const EPOCHS: &str = "epochs.csv";
        const RANGES: &str = "ranges.csv";

        /// With the rows of the first `epochs` epochs of an earlier run.
        fn resume(folder: &Path, epochs: u32) -> anyhow::Result<Tables> {
            let mut tables = Tables { folder: folder.to_owned(), epochs: Vec::new(), ranges: Vec::new() };
            if epochs > 0 {
                tables.epochs = read(&folder.join(Self::EPOCHS))?;
                tables.ranges = read(&folder.join(Self::RANGES))?;
                tables.epochs.retain(|row| row.epoch < epochs);
                tables.ranges.retain(|row| row.epoch < epochs);
            }
            Ok(tables)
        }

        fn add(&mut self, record: &EpochRecord, ranges: &[RangeRecord]) -> anyhow::Result<()> {
            self.epochs.push(record.clone());
            self.ranges.extend_from_slice(ranges);
            write(&self.folder.join(Self::EPOCHS), &self.epochs)?;
            write(&self.folder.join(Self::RANGES), &self.ranges)
        }
    }

    fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
        let mut reader = csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
        let rows: Result<Vec<T>, _> = reader.deserialize().collect();
        rows.with_context(|| path.display().to_string())
    }

    fn write<T: serde::Serialize>(path: &Path, rows: &[T]) -> anyhow::Result<()> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        rows.iter().try_for_each(|row| writer.serialize(row))?;
        let bytes = writer.into_inner().map_err(|error| anyhow!(error.to_string()))?;
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn main(args: &Args) -> Result<(), Failure> {
        allocator::keep_memory();
        let settings = settings(args).map_err(Failure::bad_input)?;
        let kind = dataset_kind(args);
        let read = |split| read_dataset(kind, &args.data, split, args.images.filter(|_| split == Split::Train));
        let train_set = read(Split::Train).map_err(Failure::bad_input)?;
        let test_set = read(Split::Test).map_err(Failure::bad_input)?;
        let test_set = first(test_set, args.images);
        let architecture = arch::find(&settings.arch).expect("presets name architectures");
        let mut source: Box<dyn WeightSource> = match &args.init {
            Some(path) => Box::new(SafetensorsFile::open(path).map_err(Failure::bad_input)?),
            None => Box::new(RandomWeights::new(settings.seed)),
        };
        let options = Options { classes: Some(settings.classes), ..Options::default() };
        let (layout, initial) = Layout::new(architecture, &options, &mut *source).map_err(Failure::bad_input)?;
        let out = args.out.clone().unwrap_or_else(|| Path::new("results").join(format!("train-{}", args.preset)));
        std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
        let checkpoint = out.join("checkpoint.safetensors");
        let done = if args.resume { resumable(&checkpoint, &settings).map_err(Failure::bad_input)? } else { 0 };
        let mut tables = Tables::resume(&out, done).map_err(Failure::bad_input)?;
        write_settings(&out, &settings)?;
        if let Some(threads) = args.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
        }

        let progress = Bar::new(settings.epochs);
        let values = with_ctrl_c("--resume goes on from the last whole epoch", |cancel| {
            let run = Run {
                settings: &settings,
                layout: &layout,
                initial: &initial,
                train: &train_set,
                test: &test_set,
                checkpoint: &checkpoint,
                resume: args.resume,
                cancel,
            };
            let mut observe = |event: Progress<'_>| {
                if let Progress::Epoch { record, ranges } = &event {
                    let path = out.join(Tables::EPOCHS);
                    let source = |error: anyhow::Error| std::io::Error::other(error.to_string());
                    tables.add(record, ranges).map_err(|e| TrainError::Write { path, source: source(e) })?;
                }
                progress.show(&event);
                Ok(())
            };
            on_device(&args.device, &run, &mut observe)
        });
        progress.clear();
        let values = values??;
        let weights = out.join("weights.safetensors");
        let arguments = std::env::args().skip(1);
        let command = std::iter::once("longhaul".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ");
        let settings = serde_json::to_string(&settings)?;
        let metadata = [("command".to_owned(), command), ("settings".to_owned(), settings)];
        layout.write(&weights, &values, metadata)?;
        let last = tables.epochs.last().context("no epoch was trained")?;
        Ok(print(&format!(
            "{}: {:.2} % of {} test images",
            weights.display(),
            100.0 * last.average_test_accuracy,
            test_set.len()
        ))?)
    }

    /// Trains on the processor or the GPU.
    fn on_device(
        device: &str,
        run: &Run<'_>,
        observe: &mut dyn FnMut(Progress<'_>) -> Result<(), TrainError>,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        match device {
            "cpu" => Ok(train::<Cpu>(run, &Default::default(), observe)?),
            _ => on_gpu(run, observe),
        }
    }

    #[cfg(feature = "cuda")]
    fn on_gpu(
        run: &Run<'_>,
        observe: &mut dyn FnMut(Progress<'_>) -> Result<(), TrainError>,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        type Gpu = burn::backend::Autodiff<burn::backend::Cuda>;
        // The library is opened when the device is first used, and panics where it is missing.
        let probe = || burn::tensor::Tensor::<Gpu, 1>::ones([1], &Default::default()).into_data();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let found = std::panic::catch_unwind(probe);
        std::panic::set_hook(hook);
        if found.is_err() {
            return Err(Failure::bad_input(anyhow!(
                "no usable CUDA device: libcuda (from NVIDIA's driver) cannot be loaded or finds no GPU; use --device cpu"
            )));
        }
        Ok(train::<Gpu>(run, &Default::default(), observe)?)
    }

    #[cfg(not(feature = "cuda"))]
    fn on_gpu(
        _: &Run<'_>,
        _: &mut dyn FnMut(Progress<'_>) -> Result<(), TrainError>,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        Err(Failure::bad_input(anyhow!("this longhaul trains on the processor only; build it with --features cuda")))
    }

    fn dataset_kind(args: &Args) -> DatasetKind {
        DatasetKind::ALL.iter().find(|(name, _)| *name == args.dataset).expect("clap knows the names").1
    }

    fn settings(args: &Args) -> anyhow::Result<Settings> {
        let preset = Preset::named(&args.preset).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            anyhow!("no preset is called \"{}\"; there are {}", args.preset, names.join(", "))
        })?;
        let activation = if args.relu {
            Activation::Relu
        } else {
            let problem = fit::Problem {
                target: Target::Relu,
                degree: args.degree.unwrap_or(preset.degree()),
                range: args.range,
                precision_bits: args.precision,
                step: fit::DEFAULT_STEP,
            };
            let fit = problem.solve()?;
            Activation::Polynomial { integers: fit.integers, precision_bits: args.precision }
        };
        let mut settings = preset.settings(activation);
        let kind = dataset_kind(args);
        settings.classes = kind.classes();
        settings.range = args.range;
        settings.clip &= !args.no_clip;
        settings.reg_warmup = !args.no_reg_warmup;
        settings.augment = !args.no_augment;
        fn set<T: Copy>(value: &mut T, given: Option<T>) {
            *value = given.unwrap_or(*value);
        }
        set(&mut settings.reg_range, args.reg_range);
        set(&mut settings.reg_coef, args.reg_coef);
        set(&mut settings.reg_power, args.reg_power);
        set(&mut settings.epochs, args.epochs);
        set(&mut settings.batch, args.batch);
        set(&mut settings.lr, args.lr);
        set(&mut settings.lr_warmup, args.lr_warmup);
        set(&mut settings.momentum, args.momentum);
        set(&mut settings.weight_decay, args.weight_decay);
        set(&mut settings.label_smoothing, args.label_smoothing);
        set(&mut settings.ema, args.ema);
        set(&mut settings.seed, args.seed);
        settings.check()?;
        Ok(settings)
    }

    /// The first images, or all.
    fn first(mut dataset: Dataset, images: Option<usize>) -> Dataset {
        let count = images.unwrap_or(usize::MAX).min(dataset.len());
        dataset.labels.truncate(count);
        dataset.pixels.truncate(count * Dataset::IMAGE_BYTES);
        dataset
    }

    /// The epochs that the checkpoint has done, if it is one of the same run; only the number of epochs may differ.
    fn resumable(path: &Path, settings: &Settings) -> anyhow::Result<u32> {
        let checkpoint = Checkpoint::read(path)?;
        let theirs = Settings { epochs: settings.epochs, ..checkpoint.settings };
        if theirs != *settings {
            let (ours, theirs) = (serde_json::to_value(settings)?, serde_json::to_value(&theirs)?);
            let keys = ours.as_object().into_iter().flatten().filter(|(key, value)| theirs.get(key) != Some(value));
            let keys: Vec<&str> = keys.map(|(key, _)| key.as_str()).collect();
            return Err(anyhow!(
                "{} was written with other settings ({}); give the same options, or another --out",
                path.display(),
                keys.join(", ")
            ));
        }
        Ok(checkpoint.epochs)
    }

    fn write_settings(out: &Path, settings: &Settings) -> anyhow::Result<()> {
        let path = out.join("settings.json");
        let text = serde_json::to_string_pretty(settings)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// A bar per epoch on a terminal, a line per epoch everywhere.
    struct Bar {
        bar: Option<ProgressBar>,
        epochs: u32,
    }

    impl Bar {
        fn new(epochs: u32) -> Bar {
            let bar = std::io::stderr().is_terminal().then(|| {
                let style = ProgressStyle::with_template("{pos}/{len} [{bar:30}] {elapsed}, {eta} left  {msg}");
                ProgressBar::new(0).with_style(style.expect("a constant template that parses").progress_chars("=> "))
            });
            Bar { bar, epochs }
        }

        fn show(&self, event: &Progress<'_>) {
            match event {
                Progress::Step { epoch, step, steps, loss } => {
                    let Some(bar) = &self.bar else { return };
                    if *step == 1 {
                        bar.reset();
                        bar.set_length(*steps as u64);
                    }
                    bar.set_position(*step as u64);
                    bar.set_message(format!("epoch {} of {}, loss {loss:.3}", epoch + 1, self.epochs));
                }
                Progress::Epoch { record, ranges } => {
                    let worst = ranges.iter().max_by(|a, b| a.train_outside.total_cmp(&b.train_outside));
                    let worst = worst.map_or(String::new(), |row| {
                        format!("; outside in training: {:.3} % in {} at most", 100.0 * row.train_outside, row.layer)
                    });
                    let line = format!(
                        "epoch {}/{}: loss {:.4}, penalty {:.3e}, accuracy {:.2} % train, {:.2} % test, {:.2} % averaged; \
                         outside {:.4} % of test, |x| to {:.1}{worst}; {:.0} s",
                        record.epoch + 1,
                        self.epochs,
                        record.loss,
                        record.penalty,
                        100.0 * record.train_accuracy,
                        100.0 * record.test_accuracy,
                        100.0 * record.average_test_accuracy,
                        100.0 * record.test_outside,
                        record.test_max_abs,
                        record.seconds,
                    );
                    match &self.bar {
                        Some(bar) => bar.suspend(|| eprintln!("{line}")),
                        None => {
                            let _ = writeln!(std::io::stderr(), "{line}");
                        }
                    }
                }
            }
        }

        fn clear(&self) {
            if let Some(bar) = &self.bar {
                bar.finish_and_clear();
            }
        }
    }
}
