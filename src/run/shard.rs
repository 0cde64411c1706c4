//! One of several parts of a run, for several machines: named by hand, or by the scheduler that started the process.

use std::fmt;
use std::str::FromStr;

/// Part `index`, counted from 0, of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Below `count`.
    pub index: usize,
    /// Above zero.
    pub count: usize,
}

/// What says how many parts there are. Kubernetes tells a pod only its index; and a Slurm array that runs a part again, such
/// as `--array=3`, has fewer tasks than there are parts.
pub const COUNT_VARIABLE: &str = "LONGHAUL_SHARDS";

impl FromStr for Shard {
    type Err = String;

    /// `2/5`: the second of five.
    fn from_str(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match parts {
            Some((index @ 1.., count)) if index <= count => Ok(Shard { index: index - 1, count }),
            _ => {
                Err("write I/N with I from 1 to N, for example \"2/5\" for the second of five, or \"auto\"".to_string())
            }
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// The part that a scheduler gave this process, according to the environment that `variable` reads: a task of a Slurm
    /// array, or a pod of a Kubernetes Indexed Job. `None` without one.
    ///
    /// # Errors
    /// A part that cannot be told, with a remedy.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, String> {
        let number = |name: &str| {
            let value = variable(name).filter(|text| !text.is_empty());
            let read =
                |text: String| text.parse::<usize>().map_err(|_| format!("{name} is \"{text}\", which is no number"));
            value.map(read).transpose()
        };
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
            let (last, tasks) = (number("SLURM_ARRAY_TASK_MAX")?, number("SLURM_ARRAY_TASK_COUNT")?);
            return match number(COUNT_VARIABLE)? {
                Some(count) => of_numbered_task(id, count),
                None => of_array(id, first, last, tasks),
            }
            .map(Some);
        }
        match (number("JOB_COMPLETION_INDEX")?, number(COUNT_VARIABLE)?) {
            (None, _) => Ok(None),
            (Some(index), Some(count)) if index < count => Ok(Some(Shard { index, count })),
            (Some(index), Some(count)) => Err(format!(
                "JOB_COMPLETION_INDEX is {index}, but {COUNT_VARIABLE} is {count}; set it to the Job's `completions`"
            )),
            (Some(_), None) => Err(format!(
                "JOB_COMPLETION_INDEX is set, but not of how many; set {COUNT_VARIABLE} to the Job's `completions`"
            )),
        }
    }

    /// Whether the part has the `unit`th unit of work, counted from 0: they are dealt in turn.
    pub fn holds(&self, unit: usize) -> bool {
        unit % self.count == self.index
    }
}

/// The part of task `id` of a Slurm array whose tasks are the parts 1 to `count`, or some of them.
fn of_numbered_task(id: usize, count: usize) -> Result<Shard, String> {
    match id {
        1.. if id <= count => Ok(Shard { index: id - 1, count }),
        _ => Err(format!(
            "SLURM_ARRAY_TASK_ID is {id}, but {COUNT_VARIABLE} is {count}; use tasks from 1 to {count}, such as --array=1-{count}"
        )),
    }
}

/// The part of task `id` of a Slurm array of that many `tasks`, numbered from `first` on, which must be all parts.
fn of_array(id: usize, first: usize, last: Option<usize>, tasks: Option<usize>) -> Result<Shard, String> {
    let count = tasks.ok_or("SLURM_ARRAY_TASK_ID is set but SLURM_ARRAY_TASK_COUNT is not; give --shard I/N")?;
    let is_consecutive = last.is_none_or(|last| last + 1 == first + count);
    match id.checked_sub(first) {
        // Arrays that start later are rather some tasks of a larger one, run again.
        Some(index) if index < count && is_consecutive && first <= 1 => Ok(Shard { index, count }),
        _ => Err(format!(
            "task {id} of a Slurm array of {count} tasks from {first} on cannot be numbered; use all tasks from 1 on, such as \
             --array=1-{count}, or set {COUNT_VARIABLE} to the number of parts to run some of them again; an array that is \
             not about parts of one run takes --shard 1/1"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_from_one_on() {
        assert_eq!("2/5".parse(), Ok(Shard { index: 1, count: 5 }));
        assert_eq!("1/1".parse::<Shard>().map(|shard| shard.to_string()), Ok("1/1".to_string()));
        for text in ["", "0/5", "6/5", "5", "a/b", "1/0", "1/2/3", "-1/2"] {
            assert!(text.parse::<Shard>().unwrap_err().contains("I from 1 to N"), "{text}");
        }
    }

    #[test]
    fn units_are_dealt_in_turn() {
        let shard = Shard { index: 1, count: 3 };
        assert_eq!((0..9).filter(|unit| shard.holds(*unit)).collect::<Vec<_>>(), [1, 4, 7]);
    }

    /// What the environment `text`, `NAME=VALUE` in words, says.
    fn told(text: &str) -> Result<Option<Shard>, String> {
        let variable = |name: &str| {
            let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        };
        Shard::from_environment(variable)
    }

    #[test]
    fn schedulers_say_which_part_it_is() {
        assert_eq!(told(""), Ok(None));
        assert_eq!(told("LONGHAUL_SHARDS=4"), Ok(None), "a count alone is no part");
        let third = Ok(Some(Shard { index: 2, count: 4 }));
        assert_eq!(told("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=4"), third);
        assert_eq!(
            told("SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=3 SLURM_ARRAY_TASK_COUNT=4"),
            third
        );
        assert_eq!(told("JOB_COMPLETION_INDEX=2 LONGHAUL_SHARDS=4"), third);
        // Run again alone: the count is that of the first time.
        let again = "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=3 SLURM_ARRAY_TASK_COUNT=1";
        assert_eq!(told(&format!("{again} LONGHAUL_SHARDS=4")), third);
        for (text, remedy) in [
            ("SLURM_ARRAY_TASK_ID=3", "give --shard I/N"),
            ("SLURM_ARRAY_TASK_ID=x", "no number"),
            (
                "SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=6 SLURM_ARRAY_TASK_COUNT=4",
                "--array=1-4",
            ),
            (again, "set LONGHAUL_SHARDS"),
            ("SLURM_ARRAY_TASK_ID=0 LONGHAUL_SHARDS=4", "tasks from 1 to 4"),
            ("SLURM_ARRAY_TASK_ID=5 LONGHAUL_SHARDS=4", "tasks from 1 to 4"),
            ("JOB_COMPLETION_INDEX=2", "set LONGHAUL_SHARDS"),
            ("JOB_COMPLETION_INDEX=4 LONGHAUL_SHARDS=4", "the Job's `completions`"),
        ] {
            assert!(told(text).unwrap_err().contains(remedy), "{text}");
        }
    }
}
