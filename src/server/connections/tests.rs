//! Who makes room, and who stays.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::activity::WELCOME;
use super::{Activity, Connections, End, GRACE, LEAVING, Room};

const SECOND: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A port's connections, each on a task that says how it was asked to end, and ends then where
/// `ends`.
struct Opened {
    connections: Connections,
    doing: Vec<Activity>,
    asked: Vec<oneshot::Receiver<End>>,
    ends: bool,
    now: Instant,
}

impl Opened {
    fn new(most: usize, count: usize) -> Self {
        let connections = Connections::new(most);
        let now = connections.begun + 10 * SECOND;
        let (doing, asked) = Default::default();
        let mut opened = Self { connections, doing, asked, ends: true, now };
        (0..count).for_each(|_| opened.open());
        opened
    }

    fn open(&mut self) {
        let ends = self.ends;
        self.connections.add(|doing, end| {
            let (says, asked) = oneshot::channel();
            self.doing.push(doing);
            self.asked.push(asked);
            let task = tokio::spawn(async move {
                says.send(end.await.unwrap()).unwrap();
                if !ends {
                    std::future::pending::<()>().await;
                }
            });
            task.abort_handle()
        });
        self.quiet_for(self.doing.len() - 1, Duration::ZERO);
    }

    /// As if it had done what it did last so long ago.
    fn quiet_for(&self, at: usize, time: Duration) {
        self.doing[at].note_move_at(self.now.checked_sub(time).unwrap());
    }

    fn make_room(&mut self) -> Room {
        self.connections.make_room(self.now)
    }

    /// Those that were asked to end until now, and how.
    async fn asked(&mut self) -> Vec<(usize, End)> {
        // Everything that can go on by itself has done so after this, on one thread.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let asked = self.asked.iter_mut().enumerate();
        asked.filter_map(|(at, asked)| Some((at, asked.try_recv().ok()?))).collect()
    }

    /// Which have ended.
    async fn ended(&mut self) -> Vec<bool> {
        self.asked().await;
        self.connections.open.iter().map(|open| open.task.is_finished()).collect()
    }
}

#[tokio::test]
async fn an_answer_that_is_taken_slowly_is_not_cut_off_like_an_idle_connection() {
    let mut opened = Opened::new(1, 0);
    opened.ends = false;
    opened.open();
    drop(opened.doing[0].begin(opened.now));
    opened.connections.end(opened.now);
    opened.now += 29 * SECOND;
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.ended().await, [false]);
    opened.now += SECOND;
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.ended().await, [true]);
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room() {
    let mut opened = Opened::new(4, 4);
    let _busy = opened.doing[0].begin(opened.now);
    for (at, idle_for) in [(0, 5), (1, 2), (2, 3), (3, 1)] {
        opened.quiet_for(at, idle_for * SECOND);
    }
    assert_eq!(opened.make_room(), Room::Made);
    assert_eq!(opened.asked().await, [(2, End::ForRoom)]);
    assert_eq!(opened.make_room(), Room::Free);
}

#[tokio::test]
async fn who_keeps_a_request_waiting_makes_room_before_who_is_served() {
    let mut opened = Opened::new(2, 2);
    let _requests = [opened.doing[0].begin(opened.now), opened.doing[1].begin(opened.now)];
    assert_eq!(opened.make_room(), Room::None);
    opened.doing[1].waits().set(true);
    assert_eq!(opened.make_room(), Room::Made);
    assert_eq!(opened.asked().await, [(1, End::ForRoom)]);
}

#[tokio::test]
async fn who_has_just_come_has_a_moment_to_say_what_it_wants() {
    let mut opened = Opened::new(2, 2);
    assert_eq!(opened.make_room(), Room::Soon);
    opened.quiet_for(1, WELCOME);
    assert_eq!(opened.make_room(), Room::Made);
    assert_eq!(opened.asked().await, [(1, End::ForRoom)]);
}

#[tokio::test]
async fn while_most_are_at_work_nobody_waits_for_the_few_who_have_just_come() {
    let mut opened = Opened::new(4, 4);
    let _requests: Vec<_> = opened.doing[..3].iter().map(|doing| doing.begin(opened.now)).collect();
    assert_eq!(opened.make_room(), Room::None);
}

#[tokio::test]
async fn who_has_been_slow_for_long_makes_room_before_who_has_just_come() {
    let mut opened = Opened::new(2, 2);
    let _request = opened.doing[0].begin(opened.now);
    opened.doing[0].waits().set(true);
    opened.quiet_for(0, 2 * SECOND);
    opened.quiet_for(1, 2 * WELCOME);
    assert_eq!(opened.make_room(), Room::Made);
    assert_eq!(opened.asked().await, [(0, End::ForRoom)]);
}

#[tokio::test]
async fn those_about_to_end_are_few() {
    let mut opened = Opened::new(100, 0);
    opened.ends = false;
    for _ in 0..100 {
        opened.open();
    }
    for at in 0..LEAVING {
        opened.quiet_for(at, SECOND);
        assert_eq!(opened.make_room(), Room::Made);
        opened.open();
    }
    opened.quiet_for(LEAVING, SECOND);
    assert_eq!(opened.make_room(), Room::Soon);
    assert_eq!(opened.asked().await.len(), LEAVING);
    let _requests: Vec<_> =
        opened.doing[..LEAVING].iter().map(|doing| doing.begin(opened.now)).collect();
    assert_eq!(opened.make_room(), Room::None, "they are all at work after all");
    opened.doing[0].waits().set(true);
    assert_eq!(opened.make_room(), Room::Soon);
}

#[tokio::test]
async fn connections_that_have_ended_count_no_more() {
    let mut opened = Opened::new(2, 2);
    opened.connections.open[0].task.abort();
    assert_eq!(opened.asked().await, []);
    assert_eq!(opened.make_room(), Room::Free);
}

#[tokio::test]
async fn who_has_said_nothing_for_too_long_is_closed() {
    let mut opened = Opened::new(5, 5);
    drop(opened.doing[1].begin(opened.now));
    let _under_way = [opened.doing[3].begin(opened.now), opened.doing[4].begin(opened.now)];
    opened.doing[4].waits().set(true);
    for at in [0, 1, 3, 4] {
        opened.quiet_for(at, 3 * SECOND);
    }
    opened.connections.close_overdue(opened.now, 2 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.asked().await, [(0, End::IfIdle), (1, End::IfIdle)]);
}

#[tokio::test]
async fn who_was_asked_to_end_and_does_not_is_cut_off_after_its_requests() {
    let mut opened = Opened::new(3, 0);
    opened.ends = false;
    for _ in 0..3 {
        opened.open();
    }
    let _request = opened.doing[0].begin(opened.now);
    opened.quiet_for(0, 9 * SECOND);
    opened.quiet_for(1, GRACE);
    opened.connections.end(opened.now);
    assert_eq!(opened.asked().await, [0, 1, 2].map(|at| (at, End::Gently)));
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    opened.now += GRACE;
    opened.quiet_for(2, Duration::ZERO);
    assert_eq!(opened.ended().await, [false, false, false], "it was only just asked");
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.ended().await, [false, true, false]);
}

#[tokio::test]
async fn while_there_is_no_more_room_a_request_is_the_last_on_its_connection() {
    let mut opened = Opened::new(2, 1);
    let request = opened.doing[0].begin(opened.now);
    assert_eq!((opened.make_room(), request.is_last()), (Room::Free, false));
    opened.open();
    assert_eq!((opened.make_room(), request.is_last()), (Room::Soon, true));
    opened.connections.open[1].task.abort();
    opened.asked().await;
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert!(!request.is_last());
}

#[tokio::test]
async fn a_request_under_way_is_never_cut() {
    let mut opened = Opened::new(1, 1);
    let busy = opened.doing[0].begin(opened.now);
    assert_eq!(opened.make_room(), Room::None);
    let lets = |opened: &Opened, end| opened.doing[0].lets(end, opened.now);
    assert!(!lets(&opened, End::ForRoom) && !lets(&opened, End::IfIdle));
    opened.doing[0].waits().set(true);
    opened.now += SECOND;
    assert!(lets(&opened, End::ForRoom) && !lets(&opened, End::IfIdle));
    opened.quiet_for(0, Duration::ZERO);
    drop(busy);
    assert!(!lets(&opened, End::ForRoom) && !lets(&opened, End::IfIdle), "its answer is sent");
    opened.doing[0].flushed();
    assert!(lets(&opened, End::IfIdle) && !lets(&opened, End::Gently));
}

#[tokio::test]
async fn a_connection_waits_longer_for_its_next_request_than_for_the_rest_of_a_head() {
    let mut opened = Opened::new(3, 3);
    for at in [1, 2] {
        drop(opened.doing[at].begin(opened.now));
        assert!(!opened.doing[at].flushed());
    }
    let mut asked_after = async |seconds: u32, expected: &[usize]| {
        opened.now += seconds * SECOND;
        opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
        let asked: Vec<_> = opened.asked().await.into_iter().map(|(at, _)| at).collect();
        assert_eq!(asked, expected);
        if seconds == 40 {
            opened.doing[2].has_read();
        }
    };
    asked_after(29, &[]).await;
    asked_after(1, &[0]).await;
    // The first byte of a head comes after 70 s, and is noticed a second later.
    asked_after(40, &[]).await;
    asked_after(1, &[]).await;
    asked_after(4, &[1]).await;
    asked_after(25, &[]).await;
    asked_after(1, &[2]).await;
}

#[tokio::test]
async fn a_connection_is_not_idle_between_the_pieces_of_an_answer() {
    let opened = Opened::new(1, 1);
    let doing = &opened.doing[0];
    drop(doing.begin(opened.now));
    for _ in 0..2 {
        doing.begin_a_piece();
        assert!(doing.sends_a_piece() && !doing.is_idle());
        assert!(doing.flushed());
        assert!(!doing.sends_a_piece() && !doing.is_idle());
    }
    assert!(!doing.flushed());
    assert!(doing.is_idle());
}
