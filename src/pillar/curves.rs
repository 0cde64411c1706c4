//! Drawings of training runs, as SVG: accuracy and loss by epoch.

use plotters::chart::SeriesAnno;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::plot::Area;
use super::records::EpochRecord;

/// Width and height of a drawing.
const SIZE: (u32, u32) = (900, 760);
/// Share of the height for accuracy; the loss below it gets the rest.
const UPPER: f64 = 0.6;
/// Okabe and Ito's colours without yellow and black: told apart by the colour-blind too.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// One training run: what the legend calls it, and its epochs, of which there may be none.
pub struct Curve {
    /// For the legend.
    pub name: String,
    /// In order.
    pub epochs: Vec<EpochRecord>,
}

/// Test accuracy (of the averaged weights, solid; of the last ones, thin) and training loss of each run.
///
/// # Errors
/// If the library cannot draw them.
pub fn curves_svg(curves: &[Curve], title: &str) -> Result<String, String> {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area, curves, title)
    };
    drawn.map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(area: &Area<'_>, curves: &[Curve], title: &str) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let (upper, lower) = area.split_vertically((f64::from(SIZE.1) * UPPER) as u32);
    let last = curves.iter().map(|curve| curve.epochs.len()).max().unwrap_or(0).max(2) as f64;
    let mut chart = chart(&upper, title, (last, 0.0..100.0))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .y_desc("test accuracy, % (thin: last weights; bold: averaged)")
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let colour = *colour;
        let percent = |share: f64| 100.0 * share;
        line(&mut chart, curve, |epoch| percent(epoch.test_accuracy), colour.stroke_width(1))?;
        let bold = line(&mut chart, curve, |epoch| percent(epoch.average_test_accuracy), colour.stroke_width(3))?;
        bold.label(label(curve)).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;

    let losses = curves.iter().flat_map(|curve| &curve.epochs).map(|epoch| epoch.loss).filter(|loss| loss.is_finite());
    let highest = losses.fold(0.1, f64::max);
    let mut chart = self::chart(&lower, "", (last, 0.0..1.05 * highest))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("epoch")
        .y_desc("training loss (cross-entropy)")
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        line(&mut chart, curve, |epoch| epoch.loss, colour.stroke_width(2))?;
    }
    area.present()?;
    Ok(())
}

fn label(curve: &Curve) -> String {
    match curve.epochs.last() {
        Some(last) => format!("{}: {:.2} %", curve.name, 100.0 * last.average_test_accuracy),
        None => format!("{}: no epoch ended", curve.name),
    }
}

fn chart<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    (last, values): (f64, std::ops::Range<f64>),
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    let mut builder = ChartBuilder::on(area);
    if !title.is_empty() {
        builder.caption(title, ("sans-serif", 20));
    }
    builder.margin(10).set_all_label_area_size(50).right_y_label_area_size(0).top_x_label_area_size(0);
    Ok(builder.build_cartesian_2d(1.0..last, values)?)
}

/// A line through the finite values, by epoch from 1.
fn line<'c, 'a, 'b>(
    chart: &'c mut Chart<'a, 'b>,
    curve: &Curve,
    value: impl Fn(&EpochRecord) -> f64,
    style: ShapeStyle,
) -> Result<&'c mut SeriesAnno<'a, SVGBackend<'b>>, Box<dyn std::error::Error>> {
    let points = curve.epochs.iter().map(|epoch| (f64::from(epoch.epoch) + 1.0, value(epoch)));
    let points: Vec<(f64, f64)> = points.filter(|(_, y)| y.is_finite()).collect();
    Ok(chart.draw_series(LineSeries::new(points, style).point_size(2))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u32, loss: f64) -> EpochRecord {
        EpochRecord {
            epoch,
            lr: 0.1,
            reg_power: 10,
            reg_coef: 0.0,
            loss,
            penalty: 0.0,
            train_accuracy: 0.5,
            test_accuracy: 0.5,
            average_test_accuracy: 0.625,
            test_outside: 0.0,
            test_max_abs: f64::INFINITY,
            seconds: 1.0,
        }
    }

    #[test]
    fn every_run_has_its_curves_also_one_that_failed() {
        let curves = [
            Curve { name: "pillar".into(), epochs: vec![epoch(0, 2.0), epoch(1, f64::NAN), epoch(2, 1.0)] },
            Curve { name: "without clipping".into(), epochs: Vec::new() },
        ];
        let svg = curves_svg(&curves, "resnet20").unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let points = |count: usize| {
            let has = move |node: &roxmltree::Node<'_, '_>| {
                node.tag_name().name() == "polyline"
                    && node.attribute("points").is_some_and(|points| points.split_whitespace().count() == count)
                    && node.attribute("stroke").is_some_and(|stroke| stroke.eq_ignore_ascii_case("#0072B2"))
            };
            document.descendants().filter(has).count()
        };
        assert_eq!((points(3), points(2)), (2, 2), "two accuracies; the loss without NaN, and the legend");
        for text in ["resnet20", "pillar: 62.50 %", "without clipping: no epoch ended"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
