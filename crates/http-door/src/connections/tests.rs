//! Which connections are evicted, and which stay.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::activity::NEW_GRACE;
use super::{Activity, Admission, CLOSE_GRACE, CloseWhen, Connections, MAX_CLOSING};

const SECOND: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A port's connections, each on a task that reports how it was asked to close, and then ends if
/// `ends`.
struct Opened {
    connections: Connections,
    activities: Vec<Activity>,
    asked: Vec<oneshot::Receiver<CloseWhen>>,
    ends: bool,
    now: Instant,
}

impl Opened {
    fn new(most: usize, count: usize) -> Self {
        let connections = Connections::new(most);
        let now = connections.epoch + 10 * SECOND;
        let (activities, asked) = Default::default();
        let mut opened = Self { connections, activities, asked, ends: true, now };
        (0..count).for_each(|_| opened.open());
        opened
    }

    fn open(&mut self) {
        let ends = self.ends;
        self.connections.add(|activity, end| {
            let (says, asked) = oneshot::channel();
            self.activities.push(activity);
            self.asked.push(asked);
            let task = tokio::spawn(async move {
                says.send(end.await.unwrap()).unwrap();
                if !ends {
                    std::future::pending::<()>().await;
                }
            });
            task.abort_handle()
        });
        self.quiet_for(self.activities.len() - 1, Duration::ZERO);
    }

    /// Has the connection's last progress be `time` ago.
    fn quiet_for(&self, at: usize, time: Duration) {
        self.activities[at].note_progress_at(self.now.checked_sub(time).unwrap());
    }

    fn admit(&mut self) -> Admission {
        self.connections.admit(self.now)
    }

    /// The indexes of connections that were asked to close since the last call, and how.
    async fn asked(&mut self) -> Vec<(usize, CloseWhen)> {
        // On one thread, every task that can make progress has done so after this.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let asked = self.asked.iter_mut().enumerate();
        asked.filter_map(|(at, asked)| Some((at, asked.try_recv().ok()?))).collect()
    }

    /// Whether each connection's task has ended.
    async fn ended(&mut self) -> Vec<bool> {
        self.asked().await;
        self.connections.open.iter().map(|open| open.task.is_finished()).collect()
    }
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_not_cut_off_like_an_idle_connection() {
    let mut opened = Opened::new(1, 0);
    opened.ends = false;
    opened.open();
    drop(opened.activities[0].begin_request(opened.now));
    opened.connections.close_all(opened.now);
    opened.now += 29 * SECOND;
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.ended().await, [false]);
    opened.now += SECOND;
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.ended().await, [true]);
}

#[tokio::test]
async fn the_longest_idle_connection_is_evicted() {
    let mut opened = Opened::new(4, 4);
    let _busy = opened.activities[0].begin_request(opened.now);
    for (at, idle_for) in [(0, 5), (1, 2), (2, 3), (3, 1)] {
        opened.quiet_for(at, idle_for * SECOND);
    }
    assert_eq!(opened.admit(), Admission::Evicted);
    assert_eq!(opened.asked().await, [(2, CloseWhen::NotAnswering)]);
    assert_eq!(opened.admit(), Admission::Free);
}

#[tokio::test]
async fn a_client_that_keeps_its_request_waiting_is_evicted_and_not_one_being_answered() {
    let mut opened = Opened::new(2, 2);
    let _requests = [
        opened.activities[0].begin_request(opened.now),
        opened.activities[1].begin_request(opened.now),
    ];
    assert_eq!(opened.admit(), Admission::Busy);
    opened.activities[1].set_awaiting_client(true);
    assert_eq!(opened.admit(), Admission::Evicted);
    assert_eq!(opened.asked().await, [(1, CloseWhen::NotAnswering)]);
}

#[tokio::test]
async fn a_new_connection_has_a_moment_before_it_can_be_evicted() {
    let mut opened = Opened::new(2, 2);
    assert_eq!(opened.admit(), Admission::Soon);
    opened.quiet_for(1, NEW_GRACE);
    assert_eq!(opened.admit(), Admission::Evicted);
    assert_eq!(opened.asked().await, [(1, CloseWhen::NotAnswering)]);
}

#[tokio::test]
async fn while_most_connections_are_busy_the_few_new_ones_are_not_waited_for() {
    let mut opened = Opened::new(4, 4);
    let _requests: Vec<_> =
        opened.activities[..3].iter().map(|it| it.begin_request(opened.now)).collect();
    assert_eq!(opened.admit(), Admission::Busy);
}

#[tokio::test]
async fn a_slow_connection_is_evicted_before_a_new_one() {
    let mut opened = Opened::new(2, 2);
    let _request = opened.activities[0].begin_request(opened.now);
    opened.activities[0].set_awaiting_client(true);
    opened.quiet_for(0, 2 * SECOND);
    opened.quiet_for(1, 2 * NEW_GRACE);
    assert_eq!(opened.admit(), Admission::Evicted);
    assert_eq!(opened.asked().await, [(0, CloseWhen::NotAnswering)]);
}

#[tokio::test]
async fn few_connections_exceed_the_limit_while_they_close() {
    let mut opened = Opened::new(100, 0);
    opened.ends = false;
    for _ in 0..100 {
        opened.open();
    }
    for at in 0..MAX_CLOSING {
        opened.quiet_for(at, SECOND);
        assert_eq!(opened.admit(), Admission::Evicted);
        opened.open();
    }
    opened.quiet_for(MAX_CLOSING, SECOND);
    assert_eq!(opened.admit(), Admission::Soon);
    assert_eq!(opened.asked().await.len(), MAX_CLOSING);
    let _requests: Vec<_> =
        opened.activities[..MAX_CLOSING].iter().map(|it| it.begin_request(opened.now)).collect();
    assert_eq!(opened.admit(), Admission::Busy, "all of them are busy");
    opened.activities[0].set_awaiting_client(true);
    assert_eq!(opened.admit(), Admission::Soon);
}

#[tokio::test]
async fn closed_connections_do_not_count() {
    let mut opened = Opened::new(2, 2);
    opened.connections.open[0].task.abort();
    assert_eq!(opened.asked().await, []);
    assert_eq!(opened.admit(), Admission::Free);
}

#[tokio::test]
async fn a_connection_that_is_silent_for_too_long_is_closed() {
    let mut opened = Opened::new(5, 5);
    drop(opened.activities[1].begin_request(opened.now));
    let _under_way = [
        opened.activities[3].begin_request(opened.now),
        opened.activities[4].begin_request(opened.now),
    ];
    opened.activities[4].set_awaiting_client(true);
    for at in [0, 1, 3, 4] {
        opened.quiet_for(at, 3 * SECOND);
    }
    opened.connections.close_overdue(opened.now, 2 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.asked().await, [(0, CloseWhen::Idle), (1, CloseWhen::Idle)]);
}

#[tokio::test]
async fn a_connection_that_ignores_being_asked_to_close_is_cut_off_after_its_requests() {
    let mut opened = Opened::new(3, 0);
    opened.ends = false;
    for _ in 0..3 {
        opened.open();
    }
    let _request = opened.activities[0].begin_request(opened.now);
    opened.quiet_for(0, 9 * SECOND);
    opened.quiet_for(1, CLOSE_GRACE);
    opened.connections.close_all(opened.now);
    assert_eq!(opened.asked().await, [0, 1, 2].map(|at| (at, CloseWhen::Answered)));
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    opened.now += CLOSE_GRACE;
    opened.quiet_for(2, Duration::ZERO);
    assert_eq!(opened.ended().await, [false, false, false], "they were only just asked");
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert_eq!(opened.ended().await, [false, true, false]);
}

#[tokio::test]
async fn at_the_limit_a_request_is_the_last_on_its_connection() {
    let mut opened = Opened::new(2, 1);
    let request = opened.activities[0].begin_request(opened.now);
    assert_eq!((opened.admit(), request.is_last()), (Admission::Free, false));
    opened.open();
    assert_eq!((opened.admit(), request.is_last()), (Admission::Soon, true));
    opened.connections.open[1].task.abort();
    opened.asked().await;
    opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
    assert!(!request.is_last());
}

#[tokio::test]
async fn a_request_in_progress_is_never_cut_off() {
    let mut opened = Opened::new(1, 1);
    let busy = opened.activities[0].begin_request(opened.now);
    assert_eq!(opened.admit(), Admission::Busy);
    let lets = |opened: &Opened, end| opened.activities[0].may_close(end, opened.now);
    assert!(!lets(&opened, CloseWhen::NotAnswering) && !lets(&opened, CloseWhen::Idle));
    opened.activities[0].set_awaiting_client(true);
    opened.now += SECOND;
    assert!(lets(&opened, CloseWhen::NotAnswering) && !lets(&opened, CloseWhen::Idle));
    opened.quiet_for(0, Duration::ZERO);
    drop(busy);
    assert!(
        !lets(&opened, CloseWhen::NotAnswering) && !lets(&opened, CloseWhen::Idle),
        "its answer is being sent"
    );
    opened.activities[0].note_flushed();
    assert!(lets(&opened, CloseWhen::Idle) && !lets(&opened, CloseWhen::Answered));
}

#[tokio::test]
async fn a_connection_waits_longer_for_its_next_request_than_for_the_rest_of_a_head() {
    let mut opened = Opened::new(3, 3);
    for at in [1, 2] {
        drop(opened.activities[at].begin_request(opened.now));
        assert!(!opened.activities[at].note_flushed());
    }
    let mut asked_after = async |seconds: u32, expected: &[usize]| {
        opened.now += seconds * SECOND;
        opened.connections.close_overdue(opened.now, 30 * SECOND, KEEP_ALIVE);
        let asked: Vec<_> = opened.asked().await.into_iter().map(|(at, _)| at).collect();
        assert_eq!(asked, expected);
        if seconds == 40 {
            opened.activities[2].note_read();
        }
    };
    asked_after(29, &[]).await;
    asked_after(1, &[0]).await;
    // The first byte of a head arrives after 70 s, and is timed a second later.
    asked_after(40, &[]).await;
    asked_after(1, &[]).await;
    asked_after(4, &[1]).await;
    asked_after(25, &[]).await;
    asked_after(1, &[2]).await;
}

#[tokio::test]
async fn a_connection_is_not_idle_between_the_pieces_of_an_answer() {
    let opened = Opened::new(1, 1);
    let activity = &opened.activities[0];
    drop(activity.begin_request(opened.now));
    for _ in 0..2 {
        activity.begin_piece();
        assert!(activity.is_sending_piece() && !activity.is_idle());
        assert!(activity.note_flushed());
        assert!(!activity.is_sending_piece() && !activity.is_idle());
    }
    assert!(!activity.note_flushed());
    assert!(activity.is_idle());
}
