//! What requests and bytes cost: the list of prices, from the program or from a file.

use std::collections::BTreeMap;
use std::fs;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::ConfigError;
use crate::stats::{Charged, ClassReads, STANDARD};

/// The list that comes with the program.
const OURS: &str = include_str!("prices.toml");
/// The name of the prices of all other regions.
const ANYWHERE: &str = "*";
const GB: f64 = (1_u64 << 30) as f64;

/// Prices by region and storage class.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// The day on which they held.
    pub date: String,
    /// The money that they are in.
    pub currency: String,
    region: Vec<RegionPrices>,
}

/// The prices of some regions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionPrices {
    names: Vec<String>,
    put_per_1000: f64,
    get_per_1000: f64,
    egress_per_gb: f64,
    #[serde(default)]
    class: BTreeMap<String, ClassPrices>,
}

/// What differs in a storage class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassPrices {
    put_per_1000: Option<f64>,
    get_per_1000: Option<f64>,
    #[serde(default)]
    retrieval_per_gb: f64,
}

/// What is charged, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Pricing {
    /// The prices.
    pub list: Arc<PriceList>,
    /// Whether bytes leave the server for nothing, as they do to a machine in its region.
    pub is_egress_free: bool,
    /// The class that is written.
    pub written_class: Option<String>,
}

/// What it has cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bill {
    /// Requests.
    pub requests: f64,
    /// Bytes of classes that charge for reading.
    pub retrieval: f64,
    /// Bytes that left the server.
    pub transfer: f64,
}

impl AddAssign for Bill {
    fn add_assign(&mut self, other: Bill) {
        self.requests += other.requests;
        self.retrieval += other.retrieval;
        self.transfer += other.transfer;
    }
}

impl Bill {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.requests + self.retrieval + self.transfer
    }
}

impl PriceList {
    /// The list in `file`, or the one that comes with the program.
    pub(super) fn load(file: Option<&Path>) -> Result<PriceList, ConfigError> {
        let Some(file) = file else { return PriceList::parse("the list of s3mem", OURS) };
        let name = file.display().to_string();
        let text = fs::read_to_string(file)
            .map_err(|error| ConfigError::Prices { file: name.clone(), why: error.to_string() })?;
        PriceList::parse(&name, &text)
    }

    fn parse(file: &str, text: &str) -> Result<PriceList, ConfigError> {
        let wrong = |why: String| ConfigError::Prices { file: file.to_owned(), why };
        let list: PriceList =
            toml::from_str(text).map_err(|error| wrong(one_line(&error.to_string())))?;
        if list.prices(ANYWHERE).is_none() {
            return Err(wrong("no region has the name \"*\", for all others".to_owned()));
        }
        let is_price = |price: f64| price.is_finite() && price >= 0.0;
        let are_prices = list.region.iter().flat_map(RegionPrices::all).all(is_price);
        match are_prices {
            true => Ok(list),
            false => Err(wrong("a price is negative or no number".to_owned())),
        }
    }

    fn prices(&self, region: &str) -> Option<&RegionPrices> {
        let of = |name: &str| {
            self.region.iter().find(|prices| prices.names.iter().any(|known| known == name))
        };
        of(region).or_else(|| of(ANYWHERE))
    }

    /// Whether the region has prices of its own here.
    pub fn knows(&self, region: &str) -> bool {
        self.region.iter().any(|prices| prices.names.iter().any(|known| known == region))
    }
}

impl RegionPrices {
    fn all(&self) -> impl Iterator<Item = f64> + use<'_> {
        let of_class = |class: &ClassPrices| {
            [class.put_per_1000, class.get_per_1000, Some(class.retrieval_per_gb)]
        };
        let of_classes = self.class.values().flat_map(of_class).flatten();
        [self.put_per_1000, self.get_per_1000, self.egress_per_gb].into_iter().chain(of_classes)
    }

    fn of(&self, class: &str) -> ClassPrices {
        self.class.get(class).copied().unwrap_or_default()
    }
}

impl Pricing {
    /// What was charged costs so much in a region.
    pub fn bill(&self, region: &str, charged: &Charged) -> Bill {
        let Some(prices) = self.list.prices(region) else { return Bill::default() };
        let written = self.written_class.as_deref().map(|class| prices.of(class));
        let put = written.and_then(|class| class.put_per_1000).unwrap_or(prices.put_per_1000);
        let answered: u64 = charged.read.values().map(|reads| reads.requests).sum();
        // Of what was refused nobody has said the class, nor of what a HEAD was about.
        let standard = charged.head_requests + charged.get_requests.saturating_sub(answered);
        let mut bill = Bill {
            requests: charged.list_requests as f64 * prices.put_per_1000
                + charged.put_requests as f64 * put
                + standard as f64 * prices.get_per_1000,
            ..Bill::default()
        };
        for (class, &ClassReads { requests, bytes }) in &charged.read {
            let class = prices.of(if class.is_empty() { STANDARD } else { class });
            let get = class.get_per_1000.unwrap_or(prices.get_per_1000);
            bill.requests += requests as f64 * get;
            bill.retrieval += bytes as f64 / GB * class.retrieval_per_gb;
            if !self.is_egress_free {
                bill.transfer += bytes as f64 / GB * prices.egress_per_gb;
            }
        }
        bill.requests /= 1000.0;
        bill
    }
}

/// The words of a text of several lines, such as a picture of where an error is.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pricing(is_egress_free: bool, written_class: Option<&str>) -> Pricing {
        let list = Arc::new(PriceList::load(None).unwrap());
        Pricing { list, is_egress_free, written_class: written_class.map(str::to_owned) }
    }

    fn charged() -> Charged {
        Charged {
            list_requests: 2_000,
            head_requests: 1_000,
            get_requests: 10_000,
            put_requests: 3_000,
            read: BTreeMap::from([
                ("STANDARD".to_owned(), ClassReads { requests: 5_000, bytes: 10 << 30 }),
                ("GLACIER_IR".to_owned(), ClassReads { requests: 4_000, bytes: 2 << 30 }),
            ]),
        }
    }

    fn assert_close(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-9, "{one} is not {other}");
    }

    #[test]
    fn a_bill_is_what_a_calculation_by_hand_says() {
        let bill = pricing(false, None).bill("us-east-1", &charged());
        // Lists and writes 5,000 at 0.005; HEADs 1,000, refused GETs 1,000 and the standard
        // class's 5,000 at 0.0004; Glacier's 4,000 at 0.01.
        assert_close(bill.requests, 0.025 + 0.0028 + 0.04);
        assert_close(bill.retrieval, 2.0 * 0.03);
        assert_close(bill.transfer, 12.0 * 0.09);
        assert_close(bill.total(), 0.0678 + 0.06 + 1.08);
    }

    #[test]
    fn in_its_region_egress_is_free_and_a_class_that_is_written_has_its_price() {
        let bill = pricing(true, Some("STANDARD_IA")).bill("us-east-1", &charged());
        assert_close(bill.transfer, 0.0);
        assert_close(bill.requests, 2.0 * 0.005 + 3.0 * 0.01 + 0.0028 + 0.04);
    }

    #[test]
    fn each_region_is_named_once_and_has_prices_of_the_usual_size() {
        let list = PriceList::load(None).unwrap();
        let mut names: Vec<&str> =
            list.region.iter().flat_map(|prices| &prices.names).map(String::as_str).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        for prices in &list.region {
            // Everywhere a write costs some twelve reads.
            let reads = prices.put_per_1000 / prices.get_per_1000;
            assert!((12.0..13.0).contains(&reads), "{:?}: {reads}", prices.names);
            assert!((0.09..0.2).contains(&prices.egress_per_gb), "{:?}", prices.names);
            assert_eq!(prices.class["STANDARD_IA"].retrieval_per_gb, 0.01, "{:?}", prices.names);
        }
        let tokyo = pricing(false, None).bill("ap-northeast-1", &charged());
        assert_close(tokyo.transfer, 12.0 * 0.114);
        assert_close(tokyo.requests, 5.0 * 0.0047 + 7.0 * 0.00037 + 4.0 * 0.01);
    }

    #[test]
    fn a_region_that_nobody_named_has_the_prices_of_all_others() {
        let ours = pricing(false, None);
        assert!(ours.list.knows("eu-central-1") && !ours.list.knows("mars-north-1"));
        let listed = Charged { list_requests: 1000, ..Charged::default() };
        assert_close(ours.bill("eu-central-1", &listed).total(), 0.0054);
        assert_close(ours.bill("mars-north-1", &listed).total(), 0.0055);
    }

    #[test]
    fn a_list_that_can_not_be_meant_is_refused_with_the_reason() {
        let refused = |text: &str| PriceList::parse("f.toml", text).unwrap_err().to_string();
        let head = "date = \"2026-01-01\"\ncurrency = \"EUR\"\n";
        let region = |name: &str, put: &str| {
            format!(
                "{head}[[region]]\nnames = [\"{name}\"]\nput_per_1000 = {put}\nget_per_1000 = 1\n\
                 egress_per_gb = 0.0\n"
            )
        };
        assert!(PriceList::parse("f", &region("*", "1.5")).is_ok());
        for (text, part) in [
            (region("x", "1.5"), "\"*\""),
            (region("*", "-1.5"), "negative"),
            (region("*", "nan"), "negative or no number"),
            (region("*", "\"1\""), "invalid type"),
            (region("*", "1.5") + "get_per_100 = 2\n", "get_per_100"),
            (head.to_owned(), "region"),
            ("date = ".to_owned(), "f.toml"),
        ] {
            let said = refused(&text);
            assert!(said.contains(part) && !said.contains('\n'), "{part:?} is not in {said}");
        }
    }
}
