//! Drawings of fits, as SVG.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::fit::{Fit, Problem};

/// Width and height of a drawing.
const SIZE: (u32, u32) = (800, 640);
/// Share of the height for the function; the error below it gets the rest.
const UPPER: f64 = 0.65;
/// Points of a curve.
const POINTS: u32 = 800;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Function and polynomial, a little beyond the range too, and their difference inside it, as an SVG document.
///
/// # Errors
/// If the library cannot draw them.
pub fn fit_svg(problem: &Problem, fit: &Fit, title: &str) -> Result<String, String> {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, problem, fit, title)
    };
    drawn.map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(area: &Area<'_>, problem: &Problem, fit: &Fit, title: &str) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let (upper, lower) = area.split_vertically((f64::from(SIZE.1) * UPPER) as u32);
    let coefficients = fit.coefficients();
    let polynomial = |x: f64| coefficients.iter().rev().fold(0.0, |sum, &c| sum * x + c);
    let function = |x: f64| problem.target.eval(x);
    let points = |reach: f64| (0..=POINTS).map(move |i| -reach + 2.0 * reach * f64::from(i) / f64::from(POINTS));

    // Beyond the range polynomials run away: the axis follows the function.
    let reach = 1.2 * problem.range;
    let (low, high) = bounds(points(reach).map(function));
    let margin = 0.2 * (high - low);
    let mut chart = ChartBuilder::on(&upper)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .set_all_label_area_size(45)
        .right_y_label_area_size(0)
        .top_x_label_area_size(0)
        .build_cartesian_2d(-reach..reach, low - margin..high + margin)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).draw()?;
    let range = problem.range;
    for side in [-range, range] {
        chart.draw_series(LineSeries::new([(side, low - margin), (side, high + margin)], BLACK.mix(0.3)))?;
    }
    let black = chart.draw_series(LineSeries::new(points(reach).map(|x| (x, function(x))), BLACK.stroke_width(2)))?;
    black.label("function").legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLACK.stroke_width(2)));
    let inside = |y: &f64| (low - margin..high + margin).contains(y);
    let curve = points(reach).map(|x| (x, polynomial(x))).filter(|(_, y)| inside(y));
    let blue = chart.draw_series(LineSeries::new(curve, BLUE.stroke_width(2)))?;
    blue.label(format!("polynomial of degree {}", problem.degree))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BLUE.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;

    let error = |x: f64| polynomial(x) - function(x);
    let (low, high) = bounds(points(range).map(error));
    let margin = (0.1 * (high - low)).max(1e-9);
    let mut chart = ChartBuilder::on(&lower)
        .margin(10)
        .set_all_label_area_size(45)
        .right_y_label_area_size(0)
        .top_x_label_area_size(0)
        .build_cartesian_2d(-reach..reach, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("pre-activation x")
        .y_desc("polynomial - function")
        .draw()?;
    chart.draw_series(LineSeries::new([(-reach, 0.0), (reach, 0.0)], BLACK.mix(0.3)))?;
    chart.draw_series(LineSeries::new(points(range).map(|x| (x, error(x))), RED.stroke_width(2)))?;
    area.present()?;
    Ok(())
}

/// The smallest and the largest.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

#[cfg(test)]
mod tests {
    use super::super::fit::{DEFAULT_STEP, Target};
    use super::*;

    #[test]
    fn a_drawing_is_well_formed_and_has_its_curves() {
        let problem = Problem { target: Target::Gelu, degree: 4, range: 5.0, precision_bits: 10, step: DEFAULT_STEP };
        let svg = fit_svg(&problem, &problem.solve().unwrap(), "gelu").unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let long = |node: &roxmltree::Node<'_, '_>| {
            node.attribute("points").is_some_and(|points| points.split_whitespace().count() > 500)
        };
        assert_eq!(document.descendants().filter(long).count(), 3, "function, polynomial, error");
        for text in ["gelu", "function", "polynomial of degree 4", "pre-activation x"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
