//! A heat map over the plane of round-trip time and bandwidth, as SVG: how many times faster one protocol is than another, and
//! the line on which they take the same time.

use plotters::prelude::*;

/// Width and height of a drawing.
const SIZE: (u32, u32) = (820, 560);
/// Width of the scale beside the map.
const SCALE: u32 = 110;
/// The subject is faster: towards this one. Blue and orange are told apart by the colour-blind too.
const FASTER: (f64, f64, f64) = (0.0, 90.0, 160.0);
/// The baseline is.
const SLOWER: (f64, f64, f64) = (205.0, 85.0, 0.0);
/// Neither.
const EQUAL: (f64, f64, f64) = (247.0, 247.0, 247.0);

/// Ratios over a grid.
pub struct Plane<'a> {
    /// Above the map.
    pub title: &'a str,
    /// Round-trip times in ms, ascending, above zero.
    pub rtt_ms: &'a [f64],
    /// Bandwidths in Mbit/s, ascending, above zero.
    pub mbit: &'a [f64],
    /// By round-trip time, then bandwidth: the baseline's time divided by the subject's.
    pub ratios: &'a [Vec<f64>],
}

/// Draws the map.
///
/// # Errors
/// If the library cannot.
pub fn plane_svg(plane: &Plane<'_>) -> Result<String, String> {
    let mut svg = String::new();
    let drawn = draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(), plane);
    drawn.map_err(|error| error.to_string())?;
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(area: &Area<'_>, plane: &Plane<'_>) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let (map, scale) = area.split_horizontally(SIZE.0 - SCALE);
    let largest = plane.ratios.iter().flatten().map(|ratio| ratio.ln().abs()).fold(2f64.ln(), f64::max);
    let (x, y) = (edges(plane.rtt_ms), edges(plane.mbit));
    let range = |edges: &[f64]| edges[0]..edges[edges.len() - 1];
    let mut chart = ChartBuilder::on(&map)
        .caption(plane.title, ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(45)
        .y_label_area_size(65)
        .build_cartesian_2d(range(&x).log_scale(), range(&y).log_scale())?;
    let cells = (0..plane.rtt_ms.len()).flat_map(|i| (0..plane.mbit.len()).map(move |j| (i, j)));
    chart.draw_series(cells.map(|(i, j)| {
        let fill = colour(plane.ratios[i][j].ln() / largest).filled();
        Rectangle::new([(x[i], y[j]), (x[i + 1], y[j + 1])], fill)
    }))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("round-trip time, ms")
        .y_desc("bandwidth, Mbit/s")
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()?;
    for line in break_even_lines(plane) {
        chart.draw_series(LineSeries::new(line, BLACK.stroke_width(3)))?;
    }
    draw_scale(&scale, largest)
}

/// From the most that the baseline is faster to the most that the subject is.
fn draw_scale(area: &Area<'_>, largest: f64) -> Result<(), Box<dyn std::error::Error>> {
    let (top, bottom, steps) = (60, SIZE.1 as i32 - 60, 100);
    let y = |share: f64| bottom - ((share + 1.0) / 2.0 * f64::from(bottom - top)) as i32;
    for step in 0..steps {
        let share = |step: i32| 2.0 * f64::from(step) / f64::from(steps) - 1.0;
        let corners = [(5, y(share(step + 1))), (25, y(share(step)))];
        area.draw(&Rectangle::new(corners, colour(share(step)).filled()))?;
    }
    for share in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let ratio = (share * largest).exp();
        let text =
            if share < 0.0 { format!("{}x slower", short(1.0 / ratio)) } else { format!("{}x faster", short(ratio)) };
        let text = if share == 0.0 { "equal (line)".to_owned() } else { text };
        area.draw(&Text::new(text, (30, y(share) - 6), ("sans-serif", 13)))?;
    }
    Ok(())
}

/// A number with few digits: 0.25, 3.5, 120.
fn short(value: f64) -> String {
    match value {
        value if value >= 99.5 => format!("{value:.0}"),
        value if value >= 9.95 => format!("{}", (value * 10.0).round() / 10.0),
        value => format!("{}", (value * 100.0).round() / 100.0),
    }
}

/// From -1, the baseline is faster by the most, to 1, the subject is.
fn colour(share: f64) -> RGBColor {
    let end = if share < 0.0 { SLOWER } else { FASTER };
    // Small differences should be seen, too.
    let share = share.abs().min(1.0).powf(0.7);
    let mix = |from: f64, to: f64| (from + (to - from) * share).round() as u8;
    RGBColor(mix(EQUAL.0, end.0), mix(EQUAL.1, end.1), mix(EQUAL.2, end.2))
}

/// Borders of cells around ascending points, half way on a logarithmic scale.
fn edges(points: &[f64]) -> Vec<f64> {
    let between: Vec<f64> = points.windows(2).map(|pair| (pair[0] * pair[1]).sqrt()).collect();
    let (first, last) = (points[0], points[points.len() - 1]);
    let (low, high) = match (between.first(), between.last()) {
        (Some(next), Some(before)) => (first * first / next, last * last / before),
        _ => (first / 2.0, first * 2.0),
    };
    [vec![low], between, vec![high]].concat()
}

/// Where `left` and `right`, logarithms of ratios at the ends of a stretch, cross zero: the share of the way, if they do.
fn crossing(left: f64, right: f64) -> Option<f64> {
    ((left > 0.0) != (right > 0.0)).then(|| left / (left - right))
}

fn between(from: f64, to: f64, share: f64) -> f64 {
    (from.ln() + (to.ln() - from.ln()) * share).exp()
}

/// Pieces of the line on which the ratio is 1: marching squares on logarithmic axes.
fn break_even_lines(plane: &Plane<'_>) -> Vec<Vec<(f64, f64)>> {
    let mut lines = Vec::new();
    for i in 1..plane.rtt_ms.len() {
        for j in 1..plane.mbit.len() {
            let corner = |di: usize, dj: usize| plane.ratios[i - 1 + di][j - 1 + dj].ln();
            let x = |share: f64| between(plane.rtt_ms[i - 1], plane.rtt_ms[i], share);
            let y = |share: f64| between(plane.mbit[j - 1], plane.mbit[j], share);
            let sides = [
                crossing(corner(0, 0), corner(1, 0)).map(|share| (x(share), y(0.0))),
                crossing(corner(1, 0), corner(1, 1)).map(|share| (x(1.0), y(share))),
                crossing(corner(0, 1), corner(1, 1)).map(|share| (x(share), y(1.0))),
                crossing(corner(0, 0), corner(0, 1)).map(|share| (x(0.0), y(share))),
            ];
            let points: Vec<_> = sides.into_iter().flatten().collect();
            lines.extend(points.chunks_exact(2).map(<[_]>::to_vec));
        }
    }
    lines
}

/// Where on an ascending axis the ratio, one for each point, first crosses 1.
pub fn break_even(axis: &[f64], ratios: &[f64]) -> Option<f64> {
    (1..axis.len()).find_map(|j| {
        let share = crossing(ratios[j - 1].ln(), ratios[j].ln())?;
        Some(between(axis[j - 1], axis[j], share))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_runs_where_the_ratio_is_one() {
        // ratio = rtt / bandwidth: the line is the diagonal.
        let axis = [1.0, 10.0, 100.0, 1000.0];
        let ratios: Vec<Vec<f64>> = axis.map(|rtt| axis.map(|mbit| 1.5 * rtt / mbit).to_vec()).to_vec();
        let plane = Plane { title: "a < b", rtt_ms: &axis, mbit: &axis, ratios: &ratios };
        let lines = break_even_lines(&plane);
        assert!(lines.len() >= 3);
        for (rtt, mbit) in lines.into_iter().flatten() {
            assert!((1.5 * rtt / mbit - 1.0).abs() < 1e-9, "{rtt} {mbit}");
        }
        assert_eq!(break_even(&axis, &ratios[1]).map(f64::round), Some(15.0));
        assert_eq!(break_even(&axis, &[2.0; 4]), None);
        let svg = plane_svg(&plane).unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("round-trip time, ms"));
    }

    #[test]
    fn one_point_is_a_map_too() {
        let plane = Plane { title: "", rtt_ms: &[5.0], mbit: &[7.0], ratios: &[vec![3.0]] };
        assert!(plane_svg(&plane).is_ok());
        assert_eq!(edges(&[5.0]), [2.5, 10.0]);
    }
}
