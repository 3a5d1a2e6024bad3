//! Durations (`250ms`, `10s`, `5m`, `1h`), sizes (`2MB`, `64KiB`), shares (`20%`), rates (`100/1m`) and networks (`10.0.0.0/8`) as
//! `router.yaml` writes them.
//!
//! A leaf: every behaviour's configuration uses these types, they use nothing of ours.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr, time::Duration};

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{Date, Month, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub usize);

/// A part of a whole, in percent (0 to 100).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u8);

/// So many in so long: `100/1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; never 0.
    pub count: u32,
    /// In how long; never 0.
    pub per: Span,
}

/// A point in time, in seconds since 1970: `2026-01-31` or `2026-01-31T12:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl Percent {
    /// The share as a factor from 0.0 to 1.0.
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Moment {
    /// As HTTP writes dates: `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn http_date(self) -> String {
        const DATE: &[BorrowedFormatItem<'_>] =
            format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        self.time().format(DATE).unwrap_or_default()
    }

    fn time(self) -> OffsetDateTime {
        let seconds = i64::try_from(self.0).unwrap_or_default();
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Network {
    /// Whether `address` lies in it; an IPv4 address written as an IPv6 one counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl Span {
    /// A whole number of seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl Size {
    /// The number of bytes as the type lengths of bodies have.
    pub const fn bytes(self) -> usize {
        self.0
    }
}

const SPANS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Splits `text` into its number and unit and multiplies; `None` unless exact.
fn scaled(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim();
    let factor = if unit.is_empty() { bare } else { units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor) };
    number.checked_mul(factor?)
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match scaled(text, &SPANS, None) {
            Some(millis) => Ok(Self(Duration::from_millis(millis))),
            None => Err(format!("`{text}` is not a duration: write a whole number and a unit, as in 250ms, 10s, 5m, 1h or 1d")),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match scaled(text, &SIZES, Some(1)).and_then(|bytes| usize::try_from(bytes).ok()) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(format!("`{text}` is not a size: write a whole number and a unit, as in 512B, 64KiB, 2MB or 1GiB")),
        }
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        match number.parse() {
            Ok(percent) if percent <= 100 => Ok(Self(percent)),
            _ => Err(format!("`{text}` is not a share: write a whole percentage from 0% to 100%, as in 20%")),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(count, per)| {
            let per = per.trim();
            let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.parse() } else { format!("1{per}").parse() };
            Some((count.trim().parse().ok()?, per.ok()?))
        });
        match parts {
            Some((count @ 1.., per)) if per > Span(Duration::ZERO) => Ok(Self { count, per }),
            _ => Err(format!("`{text}` is not a rate: write how many in how long, as in 100/1m or 10/s")),
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map(|network| Self(network.trunc()))
            .map_err(|_| format!("`{text}` is not a network: write an address or a range, as in 10.0.0.0/8 or ::1"))
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (date, time) = text.trim().split_once('T').unwrap_or((text.trim(), "00:00:00Z"));
            let mut date = date.split('-');
            let (year, month, day) = (date.next()?.parse().ok()?, date.next()?.parse::<u8>().ok()?, date.next()?.parse().ok()?);
            let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
            let mut time = time.strip_suffix('Z')?.split(':');
            let (hour, minute, second) =
                (time.next()?.parse().ok()?, time.next()?.parse().ok()?, time.next().unwrap_or("0").parse().ok()?);
            u64::try_from(date.with_hms(hour, minute, second).ok()?.assume_utc().unix_timestamp()).ok()
        };
        parse().map(Self).ok_or_else(|| format!("`{text}` is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z"))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RFC3339: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        out.write_str(&self.time().format(RFC3339).unwrap_or_default())
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}%", self.0)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.count, self.per)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, factor) =
            SPANS.iter().rev().find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor)).unwrap_or(&SPANS[0]);
        write!(out, "{}{unit}", millis / factor)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as u64;
        let exact =
            SIZES.iter().filter(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor)).max_by_key(|(_, factor)| *factor);
        let (unit, factor) = exact.unwrap_or(&SIZES[0]);
        write!(out, "{}{unit}", bytes / factor)
    }
}

macro_rules! as_text {
    ($type:ty, $name:literal, $pattern:literal, $number:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        out.write_str(concat!("a ", $name))
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $number, "pattern": $pattern })
            }
        }
    };
}

as_text!(Span, "duration", "^[0-9]+ ?(ms|s|m|h|d)$", ["string"]);
as_text!(Size, "size", "^[0-9]+ ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$", ["string", "integer"]);
as_text!(Percent, "percentage", "^[0-9]{1,3} ?%?$", ["string", "integer"]);
as_text!(Moment, "time", "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]+Z)?$", ["string"]);
as_text!(Rate, "rate", "^[0-9]+ ?/ ?[0-9]*(ms|s|m|h|d)$", ["string"]);
as_text!(Network, "network", "^[0-9a-fA-F.:]+(/[0-9]{1,3})?$", ["string"]);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_exactly_and_print_shortest() {
        for (text, millis, printed) in
            [("250ms", 250, "250ms"), ("10s", 10_000, "10s"), ("120s", 120_000, "2m"), ("1h", 3_600_000, "1h")]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(millis));
            assert_eq!(span.to_string(), printed);
        }
        for bad in ["", "10", "s", "-1s", "1.5s", "1 year", "99999999999999999999h", "18446744073709551615h"] {
            assert!(bad.parse::<Span>().is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn sizes_know_powers_of_ten_and_of_two() {
        for (text, bytes, printed) in [("2MB", 2_000_000, "2MB"), ("64KiB", 65_536, "64KiB"), ("17", 17, "17B"), ("0B", 0, "0B")]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string().as_str()), (bytes, printed));
        }
        assert!("2mb".parse::<Size>().is_err());
    }

    #[test]
    fn shares_rates_and_networks() {
        assert_eq!("50%".parse::<Percent>().unwrap(), Percent(50));
        assert!("101%".parse::<Percent>().is_err());
        let rate: Rate = "100/1m".parse().unwrap();
        assert_eq!((rate.count, rate.per), (100, Span::seconds(60)));
        assert_eq!("10/s".parse::<Rate>().unwrap().to_string(), "10/1s");
        for bad in ["0/1m", "5", "5/", "5/0s", "-5/1m", "5/m/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad} was taken");
        }
        let network: Network = "10.1.2.3/8".parse().unwrap();
        assert!(network.contains("10.9.9.9".parse().unwrap()) && network.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
        assert_eq!("::1".parse::<Network>().unwrap().to_string(), "::1/128");
    }
}
