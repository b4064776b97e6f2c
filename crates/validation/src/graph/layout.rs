//! Layout of a layered drawing: stages are columns from left to right. Uses only integers, so that a graph is
//! drawn identically on every machine.

/// The gap between two columns, for the arrows.
const BETWEEN_COLUMNS: i32 = 56;
/// The gap between two boxes of a column.
const BETWEEN_BOXES: i32 = 18;
/// The height that an arrow takes where it crosses a column.
const LANE: i32 = 6;
/// How often the columns are sorted by their neighbours, from each side.
const SWEEPS: usize = 6;

/// A box.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// The positions of all boxes and arrows.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// A rectangle for each node.
    pub(super) boxes: Vec<Rect>,
    /// The points of each edge: from its box to the edge of the column, from column to column, and into the
    /// other box.
    pub(super) routes: Vec<Vec<(i32, i32)>>,
    /// The left edge of each column.
    pub(super) columns: Vec<i32>,
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A slot of a column: a node, or an edge that crosses it.
struct Slot {
    rect: Rect,
    left: Vec<usize>,
    right: Vec<usize>,
}

/// Lays out nodes of these sizes in these columns. Edges go from a column to a later one.
pub(super) fn layout(sizes: &[(i32, i32)], column_of: &[usize], edges: &[(usize, usize)]) -> Layout {
    let mut slots: Vec<Slot> = sizes
        .iter()
        .map(|(width, height)| Slot {
            rect: Rect { width: *width, height: *height, ..Rect::default() },
            left: Vec::new(),
            right: Vec::new(),
        })
        .collect();
    let mut columns = vec![Vec::new(); column_of.iter().max().map_or(0, |last| last + 1)];
    for (node, column) in column_of.iter().enumerate() {
        columns[*column].push(node);
    }
    // A box may be narrower than its column: arrows start at the column's edge.
    let width_of = |column: usize| {
        let of_column = column_of.iter().zip(sizes).filter(|(own, _)| **own == column);
        of_column.map(|(_, (width, _))| *width).max().unwrap_or(0)
    };
    let ways: Vec<Vec<usize>> =
        edges.iter().map(|edge| way(*edge, column_of, &mut slots, &mut columns)).collect();
    sort(&mut columns, &slots);
    place(&columns, &mut slots);

    let route = |((from, _), way): (&(usize, usize), &Vec<usize>)| {
        let mut points = Vec::new();
        for (at, slot) in way.iter().enumerate() {
            let Rect { x, y, width, height } = slots[*slot].rect;
            let middle = y + height / 2;
            points.push((if at == 0 { x + width } else { x }, middle));
            if at + 1 < way.len() {
                points.push((x + width_of(column_of[*from] + at), middle));
            }
        }
        points
    };
    let boxes: Vec<Rect> = slots[..sizes.len()].iter().map(|slot| slot.rect).collect();
    Layout {
        routes: edges.iter().zip(&ways).map(route).collect(),
        columns: columns.iter().map(|column| column.first().map_or(0, |slot| slots[*slot].rect.x)).collect(),
        width: boxes.iter().map(|rect| rect.x + rect.width).max().unwrap_or(0),
        height: slots.iter().map(|slot| slot.rect.y + slot.rect.height).max().unwrap_or(0),
        boxes,
    }
}

/// The slots that an edge goes through, one per column; adds slots in the columns that it crosses.
fn way(
    (from, to): (usize, usize),
    column_of: &[usize],
    slots: &mut Vec<Slot>,
    columns: &mut [Vec<usize>],
) -> Vec<usize> {
    let mut way = vec![from];
    for column in columns.iter_mut().take(column_of[to]).skip(column_of[from] + 1) {
        column.push(slots.len());
        way.push(slots.len());
        slots.push(Slot {
            rect: Rect { height: LANE, ..Rect::default() },
            left: Vec::new(),
            right: Vec::new(),
        });
    }
    way.push(to);
    for pair in way.windows(2) {
        slots[pair[0]].right.push(pair[1]);
        slots[pair[1]].left.push(pair[0]);
    }
    way
}

/// Sorts every column by the position of its neighbours, so that few arrows intersect.
fn sort(columns: &mut [Vec<usize>], slots: &[Slot]) {
    let mut place = vec![0; slots.len()];
    let note = |column: &[usize], place: &mut Vec<usize>| {
        for (at, slot) in column.iter().enumerate() {
            place[*slot] = at;
        }
    };
    for column in columns.iter() {
        note(column, &mut place);
    }
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        for step in 0..columns.len() {
            let at = if forward { step } else { columns.len() - 1 - step };
            columns[at].sort_by_key(|slot| {
                let neighbours = if forward { &slots[*slot].left } else { &slots[*slot].right };
                match neighbours.len() {
                    0 => place[*slot] * 1000,
                    number => neighbours.iter().map(|one| place[*one] * 1000).sum::<usize>() / number,
                }
            });
            note(&columns[at], &mut place);
        }
    }
}

/// Positions every slot as near to the height of its neighbours as the column allows.
fn place(columns: &[Vec<usize>], slots: &mut [Slot]) {
    let mut x = 0;
    for column in columns {
        let width = column.iter().map(|slot| slots[*slot].rect.width).max().unwrap_or(0);
        let (mut next, mut missed) = (i32::MIN / 2, Vec::new());
        for slot in column {
            let neighbours = &slots[*slot].left;
            let wanted = match i32::try_from(neighbours.len()) {
                Ok(number) if number > 0 => {
                    let centres =
                        neighbours.iter().map(|one| slots[*one].rect.y + slots[*one].rect.height / 2);
                    centres.sum::<i32>() / number - slots[*slot].rect.height / 2
                }
                _ => next.max(0),
            };
            let is_lane = slots[*slot].rect.width == 0;
            let rect = &mut slots[*slot].rect;
            (rect.x, rect.y) = (x, wanted.max(next));
            if is_lane {
                rect.width = width;
            }
            next = rect.y + rect.height + BETWEEN_BOXES;
            missed.push(rect.y - wanted);
        }
        // The shift is distributed between the boxes above and below.
        let number = i32::try_from(missed.len().max(1)).unwrap_or(1);
        let up = missed.iter().sum::<i32>() / number;
        for slot in column {
            slots[*slot].rect.y -= up;
        }
        x += width + BETWEEN_COLUMNS;
    }
    let top = slots.iter().map(|slot| slot.rect.y).min().unwrap_or(0);
    for slot in slots {
        slot.rect.y -= top;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_box_lies_on_another_and_arrows_go_forward() {
        let sizes = [(90, 30), (80, 30), (120, 60), (70, 30), (60, 30), (90, 30)];
        let column_of = [0, 1, 2, 1, 3, 2];
        let edges = [(0, 1), (0, 3), (1, 2), (0, 4), (2, 4), (3, 5), (1, 5)];
        let layout = layout(&sizes, &column_of, &edges);
        for (at, a) in layout.boxes.iter().enumerate() {
            for b in &layout.boxes[at + 1..] {
                let apart = a.x + a.width <= b.x
                    || b.x + b.width <= a.x
                    || a.y + a.height <= b.y
                    || b.y + b.height <= a.y;
                assert!(apart, "{a:?} {b:?}");
            }
        }
        for ((from, to), route) in edges.iter().zip(&layout.routes) {
            assert_eq!(route.len(), 2 * (column_of[*to] - column_of[*from]) + 1);
            assert!(route.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{route:?}");
            assert_eq!(route[0].0, layout.boxes[*from].x + layout.boxes[*from].width);
            assert_eq!(route[route.len() - 1].0, layout.boxes[*to].x);
        }
        assert!(layout.boxes.iter().all(|rect| rect.y >= 0 && rect.y + rect.height <= layout.height));
    }

    #[test]
    fn crossings_are_undone() {
        // Two by two, with edges declared crosswise.
        let layout = layout(&[(10, 10); 4], &[0, 0, 1, 1], &[(0, 3), (1, 2)]);
        let above = |a: usize, b: usize| layout.boxes[a].y < layout.boxes[b].y;
        assert_eq!(above(0, 1), above(3, 2));
    }

    #[test]
    fn nothing_is_laid_out_as_nothing() {
        assert_eq!(layout(&[], &[], &[]).boxes, []);
    }
}
