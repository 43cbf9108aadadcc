//! What criterion has left in its directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

/// How the name of a yardstick begins.
const YARDSTICK: &str = "yardstick: ";

/// One path: what was measured beside one yardstick.
#[derive(Debug, Default)]
pub struct Group {
    /// By name, the yardsticks too.
    pub functions: BTreeMap<String, Function>,
}

/// One function of a group.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// The median of one iteration, in nanoseconds.
    pub nanos: f64,
    /// How much of something one iteration does.
    pub per_iteration: Option<Amount>,
}

/// How much of something.
#[derive(Debug, Clone, Copy)]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// So many things.
    Elements(u64),
}

impl Group {
    /// What the others are compared with: the first by name, if there are several.
    pub fn yardstick(&self) -> Option<(&str, Function)> {
        let mut all = self.functions.iter();
        let (name, function) = all.find(|(name, _)| name.starts_with(YARDSTICK))?;
        Some((name.strip_prefix(YARDSTICK)?, *function))
    }

    /// All but the first yardstick, by name. What has a number in its name comes in the number's order.
    pub fn others(&self) -> Vec<(&str, Function)> {
        let first = self.functions.keys().position(|name| name.starts_with(YARDSTICK));
        let mut others: Vec<_> = self
            .functions
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != first)
            .map(|(_, (name, function))| {
                (name.strip_prefix(YARDSTICK).unwrap_or(name.as_str()), *function)
            })
            .collect();
        others.sort_by_cached_key(|(name, _)| natural(name));
        others
    }

    /// How many times as long the function takes as the yardstick.
    pub fn ratio(&self, function: &str) -> Option<f64> {
        let (_, yardstick) = self.yardstick()?;
        Some(self.functions.get(function)?.nanos / yardstick.nanos)
    }
}

/// The pieces of a name, numbers as numbers.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut pieces = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for c in name.chars() {
        match (c.to_digit(10), pieces.last_mut()) {
            (Some(digit), Some(last)) => {
                last.1 = last.1.saturating_mul(10).saturating_add(digit.into());
                in_number = true;
            }
            (None, Some(last)) if !in_number => last.0.push(c),
            _ => {
                pieces.push((c.to_string(), 0));
                in_number = false;
            }
        }
    }
    pieces
}

/// All groups below criterion's directory, by name.
///
/// # Errors
///
/// If a file cannot be read, or is not as criterion 0.8 writes it.
pub fn read(directory: &Path) -> io::Result<BTreeMap<String, Group>> {
    let mut groups = BTreeMap::new();
    visit(directory, &mut groups)?;
    Ok(groups)
}

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
enum Throughput {
    Bytes(u64),
    BytesDecimal(u64),
    Elements(u64),
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

fn visit(directory: &Path, groups: &mut BTreeMap<String, Group>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let new = path.join("new");
        if !new.join("benchmark.json").is_file() {
            visit(&path, groups)?;
            continue;
        }
        let benchmark: Benchmark = serde_json::from_slice(&fs::read(new.join("benchmark.json"))?)?;
        let estimates: Estimates = serde_json::from_slice(&fs::read(new.join("estimates.json"))?)?;
        let name = [benchmark.function_id, benchmark.value_str].into_iter().flatten();
        let name = name.collect::<Vec<_>>().join(", ");
        let per_iteration = match benchmark.throughput {
            Some(Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes)) => {
                Some(Amount::Bytes(bytes))
            }
            Some(Throughput::Elements(elements)) => Some(Amount::Elements(elements)),
            _ => None,
        };
        let function = Function { nanos: estimates.median.point_estimate, per_iteration };
        let group: &mut Group = groups.entry(benchmark.group_id).or_default();
        group.functions.insert(name, function);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_criterion_wrote_is_read_and_compared() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        for (function, nanos) in [("yardstick: flock", 10.0), ("2 of 3", 30.0), ("10 of 3", 15.0)] {
            let new = home.path().join(format!("slots/{function}/new"));
            fs::create_dir_all(&new)?;
            let benchmark = serde_json::json!({
                "group_id": "slots: free", "function_id": function, "value_str": null,
                "throughput": { "Bytes": 5 }, "full_id": "", "directory_name": "", "title": "",
            });
            fs::write(new.join("benchmark.json"), benchmark.to_string())?;
            let estimate = serde_json::json!({ "point_estimate": nanos, "standard_error": 0.1 });
            let estimates = serde_json::json!({ "median": estimate, "mean": estimate });
            fs::write(new.join("estimates.json"), estimates.to_string())?;
        }
        let groups = read(home.path())?;
        let group = &groups["slots: free"];
        assert_eq!(group.yardstick().map(|(name, _)| name), Some("flock"));
        assert_eq!(group.ratio("2 of 3"), Some(3.0));
        let names: Vec<_> = group.others().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["2 of 3", "10 of 3"]);
        Ok(())
    }
}
