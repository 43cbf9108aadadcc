//! The charts beside the report, as SVG.

use std::fmt::Display;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::results::Results;
use super::row::{Row, number};
use super::verdict::By;

const SIZE: (u32, u32) = (760, 420);
/// Where the limit is further away than so many times what was seen, it is told in words: it would
/// press all else against the axis.
const FAR: f64 = 4.0;

const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(226, 229, 234);
const MEASURED: RGBColor = RGBColor(31, 105, 193);
const REACH: RGBColor = RGBColor(150, 184, 224);
const LIMIT: RGBColor = RGBColor(196, 48, 43);

type Plane<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Memory over agents.
pub(super) fn memory(results: &Results) -> Result<String, String> {
    let rows = &results.rows;
    let limit = results.memory_limit_mb;
    let chart = Chart {
        title: "Memory of all agents together",
        across: "MB",
        most: rows.iter().map(Row::added_mb).fold(0.0, f64::max),
        limit,
        limit_is: format!("limit: {} MB", super::verdict::whole(limit)),
    };
    let points: Vec<(f64, f64)> =
        rows.iter().map(|row| (number(row.agent_count), row.added_mb())).collect();
    let line = results.verdict.memory.filter(|memory| memory.by == By::Line);
    let name = line.map(|memory| {
        format!(
            "first {} MB, each further one {:.1} MB",
            super::verdict::whole(memory.first_agent_mb),
            memory.further_agent_mb
        )
    });
    chart.draw(rows, |plane| {
        let most = rows.last().map_or(1.0, |row| number(row.agent_count));
        if let (Some(memory), Some(name)) = (line, name) {
            let at = |n: f64| (n, memory.first_agent_mb + memory.further_agent_mb * (n - 1.0));
            let drawn = LineSeries::new([at(1.0), at(most)], REACH.stroke_width(2));
            let series = plane.draw_series(drawn).map_err(told)?;
            series.label(name).legend(|(x, y)| {
                PathElement::new(vec![(x, y), (x + 22, y)], REACH.stroke_width(2))
            });
        }
        measured(plane, points, "measured (peak − baseline)")
    })
}

/// Response time over agents.
pub(super) fn response(results: &Results) -> Result<String, String> {
    let rows = &results.rows;
    let limit = results.timeout_seconds;
    let chart = Chart {
        title: "Response time of an agent",
        across: "seconds",
        most: rows.iter().filter_map(|row| row.max_response_time).fold(0.0, f64::max),
        limit,
        limit_is: format!("an agent may take {limit} s"),
    };
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((number(row.agent_count), row.avg_response_time?)))
        .collect();
    chart.draw(rows, |plane| {
        let bars = rows.iter().filter_map(|row| {
            let n = number(row.agent_count);
            let ends = vec![(n, row.min_response_time?), (n, row.max_response_time?)];
            Some(PathElement::new(ends, REACH.stroke_width(5)))
        });
        let series = plane.draw_series(bars).map_err(told)?;
        series.label("fastest to slowest").legend(|(x, y)| {
            PathElement::new(vec![(x + 11, y - 6), (x + 11, y + 6)], REACH.stroke_width(5))
        });
        measured(plane, points, "mean")
    })
}

fn measured(plane: &mut Plane<'_>, points: Vec<(f64, f64)>, name: &str) -> Result<(), String> {
    let line = LineSeries::new(points.clone(), MEASURED.stroke_width(2));
    plane.draw_series(line).map_err(told)?;
    let dots = points.into_iter().map(|at| Circle::new(at, 4, MEASURED.filled()));
    let series = plane.draw_series(dots).map_err(told)?;
    series.label(name).legend(|(x, y)| Circle::new((x + 11, y), 4, MEASURED.filled()));
    Ok(())
}

/// What a chart has beside its points.
struct Chart {
    title: &'static str,
    /// What its height is measured in.
    across: &'static str,
    most: f64,
    limit: f64,
    limit_is: String,
}

impl Chart {
    fn draw(
        &self,
        rows: &[Row],
        points: impl FnOnce(&mut Plane<'_>) -> Result<(), String>,
    ) -> Result<String, String> {
        let right = rows.last().map_or(1.0, |row| number(row.agent_count)) + 0.5;
        let is_near = self.limit <= FAR * self.most;
        let top = 1.15 * if is_near { self.most.max(self.limit) } else { self.most.max(1.0) };
        let title = if is_near {
            self.title.to_owned()
        } else {
            format!("{} ({}: above what is shown)", self.title, self.limit_is)
        };
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            area.fill(&WHITE).map_err(told)?;
            let mut plane = ChartBuilder::on(&area)
                .margin(16)
                .caption(title, ("sans-serif", 19).into_font().color(&INK))
                .x_label_area_size(44)
                .y_label_area_size(64)
                .build_cartesian_2d(0.5..right, 0.0..top)
                .map_err(told)?;
            plane
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(FAINT)
                .axis_style(INK)
                .x_labels(rows.len().clamp(2, 16) + 2)
                .x_label_formatter(&|at| {
                    // Only whole agents.
                    let is_whole = (at - at.round()).abs() < 0.01;
                    if is_whole { format!("{at:.0}") } else { String::new() }
                })
                .y_label_formatter(&|at| format!("{at:.0}"))
                .x_desc("agents at once")
                .y_desc(self.across)
                .label_style(("sans-serif", 14).into_font().color(&INK))
                .axis_desc_style(("sans-serif", 15).into_font().color(&INK))
                .draw()
                .map_err(told)?;
            points(&mut plane)?;
            if is_near {
                let across = [(0.5, self.limit), (right, self.limit)];
                let line = DashedLineSeries::new(across, 8, 5, LIMIT.stroke_width(2));
                let series = plane.draw_series(line).map_err(told)?;
                series.label(&self.limit_is).legend(|(x, y)| {
                    PathElement::new(vec![(x, y), (x + 22, y)], LIMIT.stroke_width(2))
                });
            }
            plane
                .configure_series_labels()
                .position(SeriesLabelPosition::LowerRight)
                .margin(12)
                .background_style(WHITE.mix(0.85))
                .border_style(FAINT)
                .label_font(("sans-serif", 14).into_font().color(&INK))
                .draw()
                .map_err(told)?;
            area.present().map_err(told)?;
        }
        Ok(text)
    }
}

fn told(error: impl Display) -> String {
    error.to_string()
}
