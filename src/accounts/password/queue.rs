//! The order in which passwords wait for a worker: pure data, no threads.
//!
//! There are two priority classes: one for sign-ins from devices that their account knows, one for
//! all other passwords. The classes take turns, known devices first, and neither can fill the whole
//! queue. Within a class, one network gets at most a quarter of the queue while others wait.

use std::collections::{HashMap, VecDeque};

use crate::model::{Network, Standing};

/// Who sent a password, which decides where it waits in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requester {
    /// Which class it waits in.
    pub standing: Standing,
    /// The network whose share it counts towards; `None` if rate limits are off.
    pub network: Option<Network>,
}

/// Two priority classes of waiting items.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    known: Class<T>,
    strangers: Class<T>,
    last_taken: Standing,
}

/// The queue has no room for the item.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Debug)]
struct Class<T> {
    waiting: VecDeque<(T, Option<Network>)>,
    by_network: HashMap<Network, usize>,
}

impl Requester {
    /// A requester that does not use a known device.
    #[must_use]
    pub fn stranger(network: Option<Network>) -> Self {
        Self { standing: Standing::Stranger, network }
    }
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self { known: Class::new(), strangers: Class::new(), last_taken: Standing::Stranger }
    }

    pub(super) fn len(&self) -> usize {
        self.known.waiting.len() + self.strangers.waiting.len()
    }

    /// Adds an item to a queue that may hold `capacity`, and returns the items it displaces.
    ///
    /// If one network has filled a class alone, the first item of another one cuts it to its share.
    pub(super) fn push(
        &mut self,
        item: T,
        requester: Requester,
        capacity: usize,
    ) -> Result<Vec<T>, Full> {
        let Requester { standing, network } = requester;
        let waiting = self.len();
        let class = self.class(standing);
        let Some(network) = network else {
            if waiting >= capacity {
                return Err(Full);
            }
            class.waiting.push_back((item, None));
            return Ok(Vec::new());
        };
        let share = (capacity / 4).max(1);
        let own = class.by_network.get(&network).copied().unwrap_or_default();
        let in_class = class.waiting.len();
        let others = in_class - own;
        // Only a network that was alone in the class can exceed its share.
        let surplus =
            if own == 0 && class.by_network.len() == 1 { others.saturating_sub(share) } else { 0 };
        let is_over_share = others > 0 && own >= share;
        if is_over_share
            || waiting - surplus >= capacity
            || in_class - surplus >= capacity - capacity / 4
        {
            return Err(Full);
        }
        let displaced = class.drop_newest(surplus);
        class.waiting.push_back((item, Some(network)));
        *class.by_network.entry(network).or_default() += 1;
        Ok(displaced)
    }

    /// Removes the next items, at most `limit`.
    pub(super) fn pop_up_to(&mut self, limit: usize) -> Vec<T> {
        let mut taken = Vec::with_capacity(limit);
        while taken.len() < limit {
            let next = match (self.known.is_empty(), self.strangers.is_empty()) {
                (true, true) => break,
                (false, true) => Standing::Known,
                (false, false) if self.last_taken == Standing::Stranger => Standing::Known,
                (_, false) => Standing::Stranger,
            };
            self.last_taken = next;
            taken.extend(self.class(next).pop());
        }
        taken
    }

    fn class(&mut self, standing: Standing) -> &mut Class<T> {
        match standing {
            Standing::Known => &mut self.known,
            Standing::Stranger => &mut self.strangers,
        }
    }
}

impl<T> Class<T> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), by_network: HashMap::new() }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn pop(&mut self) -> Option<T> {
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
        if let Some(number) = self.by_network.get_mut(&network) {
            *number -= 1;
            if *number == 0 {
                self.by_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FairQueue, Full, Network, Requester, Standing};

    const CAPACITY: usize = 100;

    fn network(number: u8) -> Network {
        Network::around([192, 0, number, 1].into(), 24, 48)
    }

    fn add(queue: &mut FairQueue<u32>, item: u32, standing: Standing, number: u8) -> Option<usize> {
        let requester = Requester { standing, network: Some(network(number)) };
        queue.push(item, requester, CAPACITY).ok().map(|displaced| displaced.len())
    }

    fn stranger(queue: &mut FairQueue<u32>, item: u32, number: u8) -> Option<usize> {
        add(queue, item, Standing::Stranger, number)
    }

    fn known(queue: &mut FairQueue<u32>, item: u32, number: u8) -> Option<usize> {
        add(queue, item, Standing::Known, number)
    }

    #[test]
    fn known_devices_go_first_and_take_turns() {
        let mut queue = FairQueue::new();
        (0..4).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
        assert_eq!(queue.pop_up_to(1), [0]);
        (10..14).for_each(|item| assert_eq!(known(&mut queue, item, 2), Some(0)));
        assert_eq!(queue.pop_up_to(4), [10, 1, 11, 2]);
        assert_eq!(queue.pop_up_to(4), [12, 3, 13]);
        assert_eq!(queue.pop_up_to(4), [0; 0]);
    }

    #[test]
    fn strangers_from_many_networks_leave_a_quarter_to_known_devices() {
        let mut queue = FairQueue::new();
        for item in 0..75 {
            assert_eq!(stranger(&mut queue, item, item.try_into().unwrap()), Some(0));
        }
        assert_eq!(stranger(&mut queue, 75, 75), None);
        for item in 0..25 {
            assert_eq!(known(&mut queue, 100 + item, item.try_into().unwrap()), Some(0));
        }
        assert_eq!(known(&mut queue, 125, 99), None);
        assert_eq!(queue.pop_up_to(2), [100, 0]);
    }

    #[test]
    fn known_devices_leave_a_quarter_to_strangers() {
        let mut queue = FairQueue::new();
        for item in 0..75 {
            assert_eq!(known(&mut queue, item, item.try_into().unwrap()), Some(0));
        }
        assert_eq!(known(&mut queue, 75, 75), None);
        assert_eq!(stranger(&mut queue, 100, 1), Some(0));
        assert_eq!(queue.pop_up_to(2), [0, 100]);
    }

    #[test]
    fn a_lone_network_may_fill_its_lane_and_is_cut_to_a_quarter_by_another() {
        let mut queue = FairQueue::new();
        (0..75).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
        assert_eq!(stranger(&mut queue, 75, 1), None);
        assert_eq!(stranger(&mut queue, 100, 2), Some(50));
        assert_eq!(stranger(&mut queue, 76, 1), None, "it has its quarter");
        assert_eq!(stranger(&mut queue, 101, 2), Some(0));
        assert_eq!(queue.pop_up_to(27), (0..25).chain([100, 101]).collect::<Vec<_>>());
        // Alone again.
        (0..75).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
    }

    #[test]
    fn strangers_from_its_network_do_not_shut_out_a_known_device() {
        let mut queue = FairQueue::new();
        (0..75).for_each(|item| assert_eq!(stranger(&mut queue, item, 1), Some(0)));
        assert_eq!(known(&mut queue, 100, 1), Some(0));
        assert_eq!(queue.pop_up_to(1), [100]);
    }

    #[test]
    fn without_networks_all_items_are_equal_and_may_fill_the_queue() {
        let mut queue = FairQueue::new();
        let requester = Requester::stranger(None);
        (0..100).for_each(|item| assert_eq!(queue.push(item, requester, CAPACITY), Ok(Vec::new())));
        assert_eq!(queue.push(100, requester, CAPACITY), Err(Full));
        assert_eq!(queue.pop_up_to(100), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_with_capacity_one_holds_one() {
        let mut queue = FairQueue::new();
        let requester = Requester::stranger(Some(network(1)));
        assert_eq!(queue.push(0, requester, 0), Err(Full));
        assert_eq!(queue.push(0, requester, 1), Ok(Vec::new()));
        assert_eq!(queue.push(1, requester, 1), Err(Full));
    }
}
