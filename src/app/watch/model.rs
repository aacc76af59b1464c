//! What was told of a mount from one moment to the next, and the rates between.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

/// So many moments are remembered: as many as the widest screen shows.
const HISTORY: usize = 512;

/// What a status says of one object.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct File {
    pub(super) key: String,
    pub(super) get_requests: u64,
    pub(super) get_bytes: u64,
    pub(super) opens: u64,
    pub(super) read_bytes: u64,
    pub(super) programs: Vec<Program>,
    /// Bytes of it that came in a second, since the moment before.
    #[serde(skip)]
    pub(super) rate: f64,
}

/// A program that has opened it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Program {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// What a status says of one request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Slow {
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) answered_seconds: Option<f64>,
    pub(super) seconds: f64,
    pub(super) stage: String,
    pub(super) ended_seconds_ago: f64,
}

/// What files are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What comes of them now.
    #[default]
    Rate,
    /// What has come of them.
    Fetched,
    /// How often they were asked for.
    Requests,
    /// What programs were given of them.
    Read,
    /// Their names.
    Name,
}

impl Order {
    /// The one behind it; the first comes after the last.
    pub(super) fn next(self) -> Order {
        match self {
            Order::Rate => Order::Fetched,
            Order::Fetched => Order::Requests,
            Order::Requests => Order::Read,
            Order::Read => Order::Name,
            Order::Name => Order::Rate,
        }
    }
}

/// What changes from moment to moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Bytes that programs were given.
    Read,
    /// Bytes that came from the bucket.
    Fetched,
    /// Bytes that the server took.
    Sent,
    /// Requests of all kinds.
    Requests,
}

impl Flow {
    pub(super) const ALL: [Flow; 4] = [Flow::Read, Flow::Fetched, Flow::Sent, Flow::Requests];

    /// What was counted of it.
    fn count(self, status: &Value) -> u64 {
        let of = |path: &str| number(status, path).unwrap_or_default();
        match self {
            Flow::Read => of("reads.read_bytes"),
            Flow::Fetched => of("requests.get_bytes"),
            Flow::Sent => of("requests.put_bytes"),
            Flow::Requests => ["list", "head", "get", "put", "delete"]
                .iter()
                .map(|kind| of(&format!("requests.{kind}_requests")))
                .sum(),
        }
    }
}

/// A whole number in a status: names joined by dots.
pub(super) fn number(status: &Value, path: &str) -> Option<u64> {
    find(status, path)?.as_u64()
}

/// Any number in a status.
pub(super) fn real(status: &Value, path: &str) -> Option<f64> {
    find(status, path)?.as_f64()
}

/// A text in a status.
pub(super) fn text<'s>(status: &'s Value, path: &str) -> Option<&'s str> {
    find(status, path)?.as_str()
}

fn find<'s>(status: &'s Value, path: &str) -> Option<&'s Value> {
    path.split('.').try_fold(status, |value, name| value.get(name))
}

/// What was told so far.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// The last status; `null` before the first.
    pub(super) status: Value,
    /// The objects of it, in no order that matters.
    files: Vec<File>,
    pub(super) slowest: Vec<Slow>,
    /// The rates of each flow, the oldest first.
    rates: [VecDeque<f64>; Flow::ALL.len()],
}

impl Model {
    /// Takes a status in.
    ///
    /// # Errors
    /// It is not one.
    pub(super) fn take(&mut self, status: Value) -> Result<(), serde_json::Error> {
        let mut files: Vec<File> = Deserialize::deserialize(&status["files"])?;
        self.slowest = Deserialize::deserialize(&status["slowest"])?;
        if let Some(seconds) = self.seconds_until(&status) {
            let before: HashMap<&str, u64> =
                self.files.iter().map(|file| (file.key.as_str(), file.get_bytes)).collect();
            for file in &mut files {
                let known = before.get(file.key.as_str()).copied().unwrap_or_default();
                file.rate = file.get_bytes.saturating_sub(known) as f64 / seconds;
            }
            for (flow, rates) in Flow::ALL.into_iter().zip(&mut self.rates) {
                let more = flow.count(&status).saturating_sub(flow.count(&self.status));
                rates.push_back(more as f64 / seconds);
                if rates.len() > HISTORY {
                    rates.pop_front();
                }
            }
        }
        (self.files, self.status) = (files, status);
        Ok(())
    }

    /// How long it is from the last status to this one; `None` if they can't be compared.
    fn seconds_until(&self, status: &Value) -> Option<f64> {
        let same = |path| find(&self.status, path) == find(status, path);
        let seconds = real(status, "mounted_seconds")? - real(&self.status, "mounted_seconds")?;
        let is_same = ["pid", "since", "counted_since"].into_iter().all(same);
        (is_same && seconds > 0.0).then_some(seconds)
    }

    /// How fast it goes, in bytes or requests a second.
    pub(super) fn rate(&self, flow: Flow) -> f64 {
        self.rates[flow as usize].back().copied().unwrap_or_default()
    }

    /// The last rates, as many as there is room for, the oldest first.
    pub(super) fn rates(&self, flow: Flow, room: usize) -> Vec<u64> {
        let rates = &self.rates[flow as usize];
        // Requests may be few: what is drawn is a thousand times as much.
        let rates = rates.iter().skip(rates.len().saturating_sub(room));
        rates.map(|rate| (rate * 1e3).round() as u64).collect()
    }

    /// The objects in this order.
    pub(super) fn files(&self, order: Order) -> Vec<&File> {
        let mut files: Vec<&File> = self.files.iter().collect();
        files.sort_by(|one, other| one.key.cmp(&other.key));
        match order {
            Order::Rate => {
                files.sort_by(|one, other| {
                    let busier = other.rate.total_cmp(&one.rate);
                    busier.then_with(|| other.get_bytes.cmp(&one.get_bytes))
                });
            }
            Order::Fetched => files.sort_by_key(|file| Reverse(file.get_bytes)),
            Order::Requests => files.sort_by_key(|file| Reverse(file.get_requests)),
            Order::Read => files.sort_by_key(|file| Reverse(file.read_bytes)),
            Order::Name => {}
        }
        files
    }
}

/// How many of a hundred were in memory; `None` if there was none at all.
pub(super) fn from_memory(status: &Value, name: &str) -> Option<u64> {
    let group = if name == "used_tiles" { "tiles" } else { "reads" };
    let all = number(status, &format!("{group}.{name}"))?;
    let here = number(status, &format!("{group}.here_{name}"))?;
    (all > 0).then(|| here.saturating_mul(100) / all)
}

#[cfg(test)]
mod tests {
    use super::super::samples::told;
    use super::*;

    fn model() -> Model {
        let mut model = Model::default();
        told().into_iter().for_each(|status| model.take(status).unwrap());
        model
    }

    #[test]
    fn rates_are_differences_over_the_daemons_own_time() {
        let [first, second] = told();
        let of = |path| {
            let seconds = real(&second, "mounted_seconds").unwrap()
                - real(&first, "mounted_seconds").unwrap();
            (number(&second, path).unwrap() - number(&first, path).unwrap()) as f64 / seconds
        };
        let model = model();
        for (flow, path) in
            [(Flow::Read, "reads.read_bytes"), (Flow::Fetched, "requests.get_bytes")]
        {
            assert!(of(path) > 0.0 && (model.rate(flow) - of(path)).abs() < 1e-6, "{path}");
        }
        assert_eq!(model.rates(Flow::Read, 5).len(), 1);
        assert_eq!(model.rates(Flow::Read, 0), [0; 0]);
    }

    #[test]
    fn what_can_not_be_compared_has_no_rate() {
        let [first, mut second] = told();
        for (name, other) in [("counted_since", "later"), ("pid", "another")] {
            let mut model = Model::default();
            model.take(first.clone()).unwrap();
            second[name] = other.into();
            model.take(second.clone()).unwrap();
            assert_eq!((model.rate(Flow::Read), model.rates(Flow::Read, 9).len()), (0.0, 0));
        }
        assert!(Model::default().take(Value::Null).is_err());
    }

    #[test]
    fn files_come_in_the_order_that_was_chosen_and_all_orders_come_round() {
        let model = model();
        let mut order = Order::default();
        for weight in [
            (|file: &File| file.rate) as fn(&File) -> f64,
            |file| file.get_bytes as f64,
            |file| file.get_requests as f64,
            |file| file.read_bytes as f64,
        ] {
            let weights: Vec<f64> = model.files(order).into_iter().map(weight).collect();
            assert!(weights.len() > 3 && weights[0] > 0.0, "{order:?}");
            assert!(weights.is_sorted_by(|one, other| one >= other), "{order:?}: {weights:?}");
            order = order.next();
        }
        assert!(model.files(order).is_sorted_by_key(|file| &file.key));
        assert_eq!(order.next(), Order::default());
    }

    #[test]
    fn the_past_has_an_end() {
        let [mut status, _] = told();
        let mut model = Model::default();
        for second in 0..HISTORY + 10 {
            status["mounted_seconds"] = second.into();
            model.take(status.clone()).unwrap();
        }
        assert_eq!(model.rates(Flow::Sent, usize::MAX).len(), HISTORY);
    }
}
