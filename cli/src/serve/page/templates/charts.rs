//! Denied requests over time: a chart, and the same as a table.

use std::time::Duration;

use maud::{Markup, html};

use super::super::text::{clock, grouped};
use super::super::view::{Denied, Minute};
use super::{scrollable, time};

/// The size of the chart, in its own units.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 160;

/// The minutes of the chart, and the width of each.
const MINUTES: u64 = 60;
const SLOT: u64 = WIDTH / MINUTES;

/// The number of colours; more series use them again.
const COLORS: usize = 6;

/// The section.
pub fn section(denied: &Denied) -> Markup {
    html! {
        section #denied aria-labelledby="denied-title" {
            h2 #denied-title { "Denied requests in the last hour" }
            @if denied.series.is_empty() {
                p.empty {
                    "No node reported a denied request. Nodes report if their filter has " code { "fleet.report" } " on."
                }
            } @else {
                (chart(denied))
                ul.legend {
                    @for (index, series) in denied.series.iter().enumerate() {
                        li { span.(color(index)).swatch aria-hidden="true" {} " " (series) ": " (grouped(sum(denied, index))) }
                    }
                }
                details #denied-table {
                    summary { "The same as a table" }
                    (scrollable("Denied requests by minute", table(denied)))
                }
            }
        }
    }
}

fn chart(denied: &Denied) -> Markup {
    let highest = denied.minutes.iter().map(total).max().unwrap_or(0).max(1);
    let newest = denied
        .minutes
        .last()
        .map_or(Duration::ZERO, |one| one.start);
    let oldest = newest.saturating_sub(Duration::from_secs(60 * (MINUTES - 1)));
    let label = format!(
        "Denied requests per minute, at most {}; the table below has the numbers",
        grouped(highest)
    );
    html! {
        div.chart {
            p.axis { "up to " (grouped(highest)) " a minute" }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(label) preserveAspectRatio="none" {
                line.axis-line x1="0" y1=(HEIGHT) x2=(WIDTH) y2=(HEIGHT) {}
                @for minute in &denied.minutes {
                    @let place = minute.start.saturating_sub(oldest).as_secs() / 60;
                    (bar(denied, minute, place.saturating_mul(SLOT), highest))
                }
            }
            p.axis { span { (clock(oldest)) } span { (clock(newest)) " UTC" } }
        }
    }
}

/// The bar of one minute: a part for each series, from the bottom.
fn bar(denied: &Denied, minute: &Minute, x: u64, highest: u64) -> Markup {
    let scaled = |count: u64| {
        let height = u128::from(count).saturating_mul(u128::from(HEIGHT));
        let height = height.checked_div(u128::from(highest)).unwrap_or(0);
        u64::try_from(height).unwrap_or(HEIGHT)
    };
    let mut below = 0_u64;
    let mut parts = Vec::new();
    for (index, count) in minute.counts.iter().enumerate() {
        let bottom = scaled(below);
        below = below.saturating_add(*count);
        let top = scaled(below);
        if top > bottom {
            let y = HEIGHT.saturating_sub(top);
            parts.push((index, *count, y, top.saturating_sub(bottom)));
        }
    }
    html! {
        @for (index, count, y, height) in parts {
            rect.(color(index)) x=(x) y=(y) width=(SLOT - 1) height=(height) {
                title {
                    (clock(minute.start)) " UTC, " (denied.series.get(index).map_or("", String::as_str)) ": " (grouped(count))
                }
            }
        }
    }
}

fn table(denied: &Denied) -> Markup {
    let busy = denied
        .minutes
        .iter()
        .rev()
        .filter(|minute| total(minute) > 0);
    html! {
        table {
            caption { "Minutes without a denied request are left out." }
            thead { tr {
                th scope="col" { "Minute" }
                @for series in &denied.series { th scope="col" { (series) } }
            } }
            tbody {
                @for minute in busy {
                    tr {
                        th scope="row" { (time(minute.start)) }
                        @for count in &minute.counts { td { (grouped(*count)) } }
                    }
                }
            }
        }
    }
}

fn total(minute: &Minute) -> u64 {
    minute
        .counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
}

fn sum(denied: &Denied, series: usize) -> u64 {
    let counts = denied
        .minutes
        .iter()
        .filter_map(|minute| minute.counts.get(series));
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

fn color(index: usize) -> &'static str {
    let colors: [&str; COLORS] = ["c0", "c1", "c2", "c3", "c4", "c5"];
    let index = index.checked_rem(COLORS).unwrap_or(0);
    colors.get(index).copied().unwrap_or("c0")
}
