//! Who waits for a worker, in which order: pure data, no threads.
//!
//! Sign-ins from devices that are known to their account take turns with everybody else's passwords and
//! go first; neither can take the whole queue. Among each, one network has at most a quarter of the queue
//! while others wait.

use std::collections::{HashMap, VecDeque};

use crate::model::{Network, Standing};

/// Where a password stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Known devices go first.
    pub standing: Standing,
    /// The network that it counts for; `None` where requests are not limited, so all are equal.
    pub network: Option<Network>,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Queue<T> {
    known: Lane<T>,
    strangers: Lane<T>,
    last_taken: Standing,
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<(T, Option<Network>)>,
    of_networks: HashMap<Network, usize>,
}

impl Place {
    /// Of a password that has no claim to go before others.
    #[must_use]
    pub fn of_stranger(network: Option<Network>) -> Self {
        Self { standing: Standing::Stranger, network }
    }
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { known: Lane::new(), strangers: Lane::new(), last_taken: Standing::Stranger }
    }

    pub(super) fn len(&self) -> usize {
        self.known.waiting.len() + self.strangers.waiting.len()
    }

    /// Adds one to a queue that may hold `most`, and gives those that had to make room for it.
    ///
    /// A network that filled the queue alone is cut to its share by the first request of another one.
    pub(super) fn add(&mut self, item: T, place: Place, most: usize) -> Result<Vec<T>, Full> {
        let Place { standing, network } = place;
        let waiting = self.len();
        let lane = self.lane(standing);
        let Some(network) = network else {
            if waiting >= most {
                return Err(Full);
            }
            lane.waiting.push_back((item, None));
            return Ok(Vec::new());
        };
        let share = (most / 4).max(1);
        let own = lane.of_networks.get(&network).copied().unwrap_or_default();
        let in_lane = lane.waiting.len();
        let others = in_lane - own;
        // More than a share is possible only for a network that had the lane for itself.
        let surplus =
            if own == 0 && lane.of_networks.len() == 1 { others.saturating_sub(share) } else { 0 };
        let is_over_share = others > 0 && own >= share;
        if is_over_share || waiting - surplus >= most || in_lane - surplus >= most - most / 4 {
            return Err(Full);
        }
        let displaced = lane.drop_newest(surplus);
        lane.waiting.push_back((item, Some(network)));
        *lane.of_networks.entry(network).or_default() += 1;
        Ok(displaced)
    }

    /// Takes the next ones, at most `most`.
    pub(super) fn take(&mut self, most: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(most);
        while taken.len() < most {
            let next = match (self.known.is_empty(), self.strangers.is_empty()) {
                (true, true) => break,
                (false, true) => Standing::Known,
                (false, false) if self.last_taken == Standing::Stranger => Standing::Known,
                (_, false) => Standing::Stranger,
            };
            self.last_taken = next;
            taken.extend(self.lane(next).take());
        }
        taken
    }

    fn lane(&mut self, standing: Standing) -> &mut Lane<T> {
        match standing {
            Standing::Known => &mut self.known,
            Standing::Stranger => &mut self.strangers,
        }
    }
}

impl<T> Lane<T> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), of_networks: HashMap::new() }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take(&mut self) -> Option<T> {
        let (item, network) = self.waiting.pop_front()?;
        self.forget(network);
        Some(item)
    }

    fn drop_newest(&mut self, number: usize) -> Vec<T> {
        let kept = self.waiting.len().saturating_sub(number);
        let dropped = self.waiting.split_off(kept);
        let dropped = dropped.into_iter().map(|(item, network)| {
            self.forget(network);
            item
        });
        dropped.collect()
    }

    fn forget(&mut self, network: Option<Network>) {
        let Some(network) = network else {
            return;
        };
        if let Some(number) = self.of_networks.get_mut(&network) {
            *number -= 1;
            if *number == 0 {
                self.of_networks.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Full, Network, Place, Queue, Standing};

    const MOST: usize = 100;

    fn network(number: u8) -> Network {
        Network::around([192, 0, number, 1].into(), 24, 48)
    }

    fn add(queue: &mut Queue<u32>, item: u32, standing: Standing, number: u8) -> Option<usize> {
        let place = Place { standing, network: Some(network(number)) };
        queue.add(item, place, MOST).ok().map(|displaced| displaced.len())
    }

    fn stranger(queue: &mut Queue<u32>, item: u32, number: u8) -> Option<usize> {
        add(queue, item, Standing::Stranger, number)
    }

    fn known(queue: &mut Queue<u32>, item: u32, number: u8) -> Option<usize> {
        add(queue, item, Standing::Known, number)
    }

    #[test]
    fn known_devices_go_first_and_take_turns() {
        let mut queue = Queue::new();
        (0..4).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
        assert_eq!(queue.take(1), [0]);
        (10..14).for_each(|item| assert_eq!(known(&mut queue, item, 2), Some(0)));
        assert_eq!(queue.take(4), [10, 1, 11, 2]);
        assert_eq!(queue.take(4), [12, 3, 13]);
        assert_eq!(queue.take(4), [0; 0]);
    }

    #[test]
    fn strangers_of_many_networks_leave_a_quarter_to_known_devices() {
        let mut queue = Queue::new();
        for item in 0..75 {
            assert_eq!(stranger(&mut queue, item, item.try_into().unwrap()), Some(0));
        }
        assert_eq!(stranger(&mut queue, 75, 75), None);
        for item in 0..25 {
            assert_eq!(known(&mut queue, 100 + item, item.try_into().unwrap()), Some(0));
        }
        assert_eq!(known(&mut queue, 125, 99), None);
        assert_eq!(queue.take(2), [100, 0]);
    }

    #[test]
    fn known_devices_leave_a_quarter_to_strangers() {
        let mut queue = Queue::new();
        for item in 0..75 {
            assert_eq!(known(&mut queue, item, item.try_into().unwrap()), Some(0));
        }
        assert_eq!(known(&mut queue, 75, 75), None);
        assert_eq!(stranger(&mut queue, 100, 1), Some(0));
        assert_eq!(queue.take(2), [0, 100]);
    }

    #[test]
    fn a_network_alone_may_fill_the_queue_and_is_cut_to_a_quarter_by_another() {
        let mut queue = Queue::new();
        (0..75).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
        assert_eq!(stranger(&mut queue, 75, 1), None);
        assert_eq!(stranger(&mut queue, 100, 2), Some(50));
        assert_eq!(stranger(&mut queue, 76, 1), None, "it has its quarter");
        assert_eq!(stranger(&mut queue, 101, 2), Some(0));
        assert_eq!(queue.take(27), (0..25).chain([100, 101]).collect::<Vec<_>>());
        // Alone again.
        (0..75).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
    }

    #[test]
    fn strangers_of_its_network_do_not_shut_out_a_known_device() {
        let mut queue = Queue::new();
        (0..75).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
        assert_eq!(known(&mut queue, 100, 1), Some(0));
        assert_eq!(queue.take(1), [100]);
    }

    #[test]
    fn without_limits_all_are_equal_and_may_fill_the_queue() {
        let mut queue = Queue::new();
        let place = Place::of_stranger(None);
        (0..100).for_each(|item| assert_eq!(queue.add(item, place, MOST), Ok(Vec::new())));
        assert_eq!(queue.add(100, place, MOST), Err(Full));
        assert_eq!(queue.take(100), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_for_one_takes_one() {
        let mut queue = Queue::new();
        let place = Place::of_stranger(Some(network(1)));
        assert_eq!(queue.add(0, place, 0), Err(Full));
        assert_eq!(queue.add(0, place, 1), Ok(Vec::new()));
        assert_eq!(queue.add(1, place, 1), Err(Full));
    }
}
