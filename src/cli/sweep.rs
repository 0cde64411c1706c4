//! `longhaul sweep`: recorded executions over a whole plane of links.

use super::replay::{Recorded, read, scale};
use super::{Failure, Format};
use anyhow::{Context, anyhow, bail, ensure};
use longhaul::link::{ModelEntry, TcpParameters, find_model, models};
use longhaul::report::{
    BreakEvenRecord, Plane, SweepRecord, break_even, plain_table, plane_svg, write_file, write_records,
};
use longhaul::run::{Condition, ConditionTimes, SweepOptions, catalogue, directions, sweep};
use longhaul::scenario::parse_link;
use longhaul::units::{BitRate, Nanos};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

/// Time recorded executions over a grid of latencies and bandwidths, and draw where which protocol wins
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul run --trace\n  longhaul sweep results/quickstart/traces/*.wan.trace\n  longhaul sweep results/quickstart/traces/*.wan.trace --rtt-ms 1,10,50,100 --mbit 10,100,1000 --model ideal,tcp\n  longhaul sweep A.trace B.trace --subject fused --total --tcp warm=true\n\nOne trace for each model and protocol. Writes sweep.csv, break-even.csv and a heat map for each pair of protocols to the output\nfolder: blue where the subject is faster, the black line where both take the same time. With several link models also what\neach does to a protocol, against the first."
)]
pub struct Args {
    /// Traces that `longhaul run --trace` wrote
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// Round-trip times in ms [default: 31 from 0.1 to 1000]
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', value_parser = positive)]
    rtt_ms: Vec<f64>,
    /// Bandwidths in Mbit/s [default: 31 from 1 to 10000]
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', value_parser = positive)]
    mbit: Vec<f64>,
    /// Link models
    #[arg(long, value_name = "MODEL,..", value_delimiter = ',', default_value = "ideal", value_parser = link_model)]
    model: Vec<&'static str>,
    /// What only model tcp has, as the keys of a scenario's [[link]] without quotes: warm=true,queue=1 MB
    #[arg(long, value_name = "KEYS", default_value = "")]
    tcp: String,
    /// The protocol that the others are compared with [default: the first trace's]
    #[arg(long, value_name = "PROTOCOL")]
    subject: Option<String>,
    /// Compare offline and online time together, for whoever prepares nothing
    #[arg(long)]
    total: bool,
    /// Computing takes so many times as long as when it was recorded; 0: it is free
    #[arg(long, value_name = "X", default_value = "1", value_parser = scale)]
    compute_scale: f64,
    /// Folder for the results
    #[arg(long, value_name = "DIR", default_value = "results/sweep")]
    out: PathBuf,
    /// How the summary is printed on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e6 => Ok(number),
        _ => Err("write numbers above 0, up to 1000000".to_owned()),
    }
}

fn link_model(text: &str) -> Result<&'static str, String> {
    let known = || models().iter().map(|model| model.id).collect::<Vec<_>>().join(", ");
    find_model(text).map(|model| model.id).ok_or_else(|| format!("known: {}", known()))
}

/// The grid's axes, ascending.
struct Axes {
    rtt_ms: Vec<f64>,
    mbit: Vec<f64>,
}

/// `count` points from `low` to `high`, evenly on a logarithmic scale.
fn logarithmic(low: f64, high: f64, count: u32) -> Vec<f64> {
    let step = (high / low).ln() / f64::from(count - 1);
    // Three digits are enough for a grid.
    let round = |x: f64| format!("{x:.2e}").parse::<f64>().expect("a number");
    (0..count).map(|i| round(low * (step * f64::from(i)).exp())).collect()
}

impl Axes {
    fn new(args: &Args) -> Axes {
        let ascending = |mut points: Vec<f64>| {
            points.sort_by(f64::total_cmp);
            points.dedup();
            points
        };
        let or = |points: &[f64], default: Vec<f64>| if points.is_empty() { default } else { points.to_vec() };
        Axes {
            rtt_ms: ascending(or(&args.rtt_ms, logarithmic(0.1, 1000.0, 31))),
            mbit: ascending(or(&args.mbit, logarithmic(1.0, 10_000.0, 31))),
        }
    }

    /// By model, round-trip time and bandwidth.
    fn conditions(&self, models: &[&'static ModelEntry]) -> Vec<Condition> {
        let points =
            |model| self.rtt_ms.iter().flat_map(move |rtt| self.mbit.iter().map(move |mbit| (model, *rtt, *mbit)));
        let condition = |(model, rtt, mbit): (_, f64, f64)| Condition {
            model,
            latency: Nanos((rtt * 500_000.0).round() as u64),
            rate: BitRate(((mbit * 1e6).round() as u64).max(1)),
        };
        models.iter().flat_map(|model| points(*model)).map(condition).collect()
    }

    /// The part of a sweep's times that belongs to its `index`th link model.
    fn of_model<'t>(&self, times: &'t [ConditionTimes], index: usize) -> &'t [ConditionTimes] {
        let points = self.rtt_ms.len() * self.mbit.len();
        &times[index * points..(index + 1) * points]
    }

    /// Baseline / subject, by round-trip time, then bandwidth.
    fn ratios(&self, subject: &[ConditionTimes], baseline: &[ConditionTimes], total: bool) -> Vec<Vec<f64>> {
        let ratio = |(mine, theirs)| time(theirs, total) / time(mine, total);
        let ratios: Vec<f64> = subject.iter().zip(baseline).map(ratio).collect();
        ratios.chunks(self.mbit.len()).map(<[f64]>::to_vec).collect()
    }
}

/// One trace's times over the grid.
struct Swept<'a> {
    model: &'a str,
    protocol: &'a str,
    times: Vec<ConditionTimes>,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let recorded = args.traces.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>();
    let recorded = recorded.map_err(Failure::bad_input)?;
    check_distinct(&recorded).map_err(Failure::bad_input)?;
    let subject = subject(&recorded, args).map_err(Failure::bad_input)?;
    let tcp = tcp(&args.tcp).map_err(Failure::bad_input)?;
    let axes = Axes::new(args);
    let models: Vec<_> = args.model.iter().map(|id| find_model(id).expect("checked when it was read")).collect();
    let conditions = axes.conditions(&models);
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create {}", args.out.display()))?;

    let started = Instant::now();
    let options = SweepOptions { tcp, compute_scale: args.compute_scale };
    let swept: Vec<Swept> = recorded
        .iter()
        .map(|Recorded { trace, schedule }| Swept {
            model: &trace.header.model,
            protocol: &trace.header.protocol,
            times: sweep(schedule, &conditions, options),
        })
        .collect();
    let (count, seconds) = (conditions.len() * swept.len(), started.elapsed().as_secs_f64());
    let rate = count as f64 / seconds;
    let _ = writeln!(std::io::stderr(), "{count} link conditions in {seconds:.3} s, {rate:.0} a second");

    let rows: Vec<SweepRecord> = swept.iter().flat_map(|swept| sweep_records(swept, &conditions)).collect();
    write_records(&args.out, &rows)?;
    for swept in &swept {
        draw_models(args, &axes, swept, &models)?;
    }
    let mut lines = Vec::new();
    for theirs in swept.iter().filter(|swept| swept.protocol != subject) {
        let Some(mine) = swept.iter().find(|swept| swept.protocol == subject && swept.model == theirs.model) else {
            continue;
        };
        for (index, model) in models.iter().enumerate() {
            let ratios =
                axes.ratios(axes.of_model(&mine.times, index), axes.of_model(&theirs.times, index), args.total);
            draw(args, &axes, (mine, theirs, model), &ratios)?;
            lines.extend(break_even_records((mine, theirs, model), &axes, &ratios));
        }
    }
    write_records(&args.out, &lines)?;
    super::print(&match args.format {
        Format::Json => serde_json::to_string_pretty(&super::run::rows(&lines)?)?,
        Format::Table => summary(&lines),
    })?;
    let _ = writeln!(std::io::stderr(), "results in {}", args.out.display());
    Ok(())
}

fn time(times: &ConditionTimes, total: bool) -> f64 {
    let offline = if total { times.offline.0 } else { 0 };
    // An execution without messages and computing takes no time; a ratio of nothing to nothing should be 1.
    (times.online.0 + offline).max(1) as f64
}

/// Two traces of the same model and protocol would be two answers to one question.
fn check_distinct(recorded: &[Recorded]) -> anyhow::Result<()> {
    let name = |recorded: &Recorded| (recorded.trace.header.model.clone(), recorded.trace.header.protocol.clone());
    for (index, this) in recorded.iter().enumerate() {
        if recorded[..index].iter().any(|other| name(other) == name(this)) {
            let (model, protocol) = name(this);
            bail!("there are two traces of {model} under {protocol}; name one, for example only *.wan.trace");
        }
    }
    Ok(())
}

fn subject(recorded: &[Recorded], args: &Args) -> anyhow::Result<String> {
    let protocols: Vec<&str> = recorded.iter().map(|recorded| &*recorded.trace.header.protocol).collect();
    let fused = protocols.iter().find(|protocol| **protocol == "fused").unwrap_or(&protocols[0]);
    let subject = args.subject.as_deref().unwrap_or(fused);
    ensure!(
        protocols.contains(&subject),
        "--subject {subject}: no trace is of it; there are: {}",
        protocols.join(", ")
    );
    Ok(subject.to_owned())
}

fn tcp(keys: &str) -> anyhow::Result<TcpParameters> {
    let line = format!("rtt=0 ms, bandwidth=unlimited, model=tcp, {keys}");
    let link = parse_link(&line, &catalogue()).map_err(|error| anyhow!("--tcp {keys}: {error}"))?;
    Ok(directions(&link, 1).1.tcp)
}

fn sweep_records(swept: &Swept, conditions: &[Condition]) -> Vec<SweepRecord> {
    let record = |(condition, times): (&Condition, &ConditionTimes)| SweepRecord {
        model: swept.model.to_owned(),
        protocol: swept.protocol.to_owned(),
        link_model: condition.model.id.to_owned(),
        rtt_s: Nanos(2 * condition.latency.0),
        mbit: condition.rate.0 as f64 / 1e6,
        online_s: times.online,
        online_floor_s: times.online_floor,
        offline_s: times.offline,
    };
    conditions.iter().zip(&swept.times).map(record).collect()
}

/// The subject's times, the baseline's, and over which link model.
type Pair<'a> = (&'a Swept<'a>, &'a Swept<'a>, &'a ModelEntry);

/// What each further link model does to a protocol, against the first.
fn draw_models(args: &Args, axes: &Axes, swept: &Swept, models: &[&ModelEntry]) -> anyhow::Result<()> {
    for (index, model) in models.iter().enumerate().skip(1) {
        let (first, this) = (axes.of_model(&swept.times, 0), axes.of_model(&swept.times, index));
        let ratios = axes.ratios(this, first, args.total);
        let title = format!("{} under {}: {} against {}", swept.model, swept.protocol, model.id, models[0].id);
        let name = format!("{}.{}.{}-{}.svg", swept.model, swept.protocol, model.id, models[0].id);
        write_plane(args, axes, &title, &ratios, &name)?;
    }
    Ok(())
}

fn write_plane(args: &Args, axes: &Axes, title: &str, ratios: &[Vec<f64>], name: &str) -> anyhow::Result<()> {
    let plane = Plane { title, rtt_ms: &axes.rtt_ms, mbit: &axes.mbit, ratios };
    let svg = plane_svg(&plane).map_err(|problem| anyhow!(problem))?;
    Ok(write_file(&args.out.join(name), svg.as_bytes())?)
}

fn draw(args: &Args, axes: &Axes, (mine, theirs, model): Pair, ratios: &[Vec<f64>]) -> anyhow::Result<()> {
    let what = if args.total { "offline and online" } else { "online" };
    let title = format!("{}, {what}, {} link: {} against {}", mine.model, model.id, mine.protocol, theirs.protocol);
    let name = format!("{}.{}.{}-{}.svg", mine.model, model.id, mine.protocol, theirs.protocol);
    write_plane(args, axes, &title, ratios, &name)
}

fn break_even_records((mine, theirs, model): Pair, axes: &Axes, ratios: &[Vec<f64>]) -> Vec<BreakEvenRecord> {
    let faster = |ratio: f64| if ratio > 1.0 { mine.protocol } else { theirs.protocol }.to_owned();
    let record = |(rtt_ms, ratios): (&f64, &Vec<f64>)| BreakEvenRecord {
        model: mine.model.to_owned(),
        subject: mine.protocol.to_owned(),
        baseline: theirs.protocol.to_owned(),
        link_model: model.id.to_owned(),
        rtt_s: Nanos((rtt_ms * 1e6).round() as u64),
        break_even_mbit: break_even(&axes.mbit, ratios),
        faster_below: faster(ratios[0]),
        faster_above: faster(ratios[ratios.len() - 1]),
    };
    axes.rtt_ms.iter().zip(ratios).map(record).collect()
}

/// A line for each pair of protocols and link model: who wins where.
fn summary(lines: &[BreakEvenRecord]) -> String {
    let mut table = plain_table(["model", "link", "subject", "baseline", "who is faster"]);
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let key = |line: &BreakEvenRecord| (line.model.clone(), line.baseline.clone(), line.link_model.clone());
        let count = rest.iter().take_while(|line| key(line) == key(first)).count();
        let (group, after) = rest.split_at(count);
        rest = after;
        table.add_row([&first.model, &first.link_model, &first.subject, &first.baseline, &verdict(group)]);
    }
    table.trim_fmt()
}

fn verdict(group: &[BreakEvenRecord]) -> String {
    let first = &group[0];
    let one_wins = |line: &BreakEvenRecord| line.break_even_mbit.is_none() && line.faster_below == first.faster_below;
    if group.iter().all(one_wins) {
        return format!("{}, everywhere", first.faster_below);
    }
    let at = |line: &BreakEvenRecord| {
        let rtt = line.rtt_s.0 as f64 / 1e6;
        match line.break_even_mbit {
            Some(mbit) => format!("{} below {mbit:.0} Mbit/s at {rtt} ms", line.faster_below),
            None => format!("{} at every bandwidth at {rtt} ms", line.faster_below),
        }
    };
    let middle = &group[group.len() / 2];
    let last = &group[group.len() - 1];
    let mut parts = vec![at(first), at(middle), at(last)];
    parts.dedup();
    parts.join("; ")
}
