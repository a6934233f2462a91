/*
 * The protocol of votes: instances that judge their own results, ballots, expiry, muting and the opening
 * of the fleet's circuit, for one circuit of three instances and a quorum of two. `deno task model` checks
 * all interleavings with spin, and `tests/model/replay_test.ts` replays random traces on the real table.
 *
 * | here            | there                                                                    |
 * | --------------- | ------------------------------------------------------------------------ |
 * | fail, recover   | QuorumCircuits.recordFailure, settle (src/quorum/quorum_circuits.ts)     |
 * | follow          | QuorumCircuits.#follow, #clear; Ballots.follow (src/quorum/ballots.ts)   |
 * | IS_DUE, send    | Ballots.#isDue, #begin, renew                                            |
 * | vote, answer    | voteStatement (src/postgres/statements/vote.ts); Ballots.#vote           |
 * | withdraw        | withdrawStatement; Ballots.#withdraw                                     |
 * | closedByProbe   | settleStatement with mutedAfterClose (src/rules/voting.ts)               |
 * | force, reset    | src/postgres/statements/force.ts, with `endsVotes` of changeSql          |
 *
 * The open and the half-open circuit are one state here: votes tell them not apart. The probes of the fleet
 * have a model of their own, probing.pml. The instances in BAD fail, and the upstream works for the others.
 *
 * A statement whose answer does not come may run later, at any time: an orphan.
 */

#ifndef BAD
#define BAD 1            /* a set of instances, as bits */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef ACTS
#define ACTS 1
#endif
#ifndef EXPIRIES
#define EXPIRIES 2       /* how often 30 s pass without a renewal of some vote */
#endif
#ifndef CLOSINGS
#define CLOSINGS 2       /* how often the probe of an instance closes the fleet's circuit */
#endif
#define QUORUM 2
#define INSTANCES 3

#define CLOSED 0
#define OPEN 1

#define UNFORCED 0
#define FORCED_OPEN 1
#define FORCED_CLOSED 2

#define SILENT 0
#define VOTING 1         /* the vote is under way */
#define VOTED 2          /* the vote is committed, its answer is under way */
#define WITHDRAWING 3
#define WITHDRAWN 4

/* The row. Sets of instances are bits. A vote that is stale stands no more. */
byte state, forced, votes, stale, voters, muted, zeroed;

/* What an instance knows. */
bit isOpen[INSTANCES], voted[INSTANCES], mayStand[INSTANCES];
byte sending[INSTANCES], known[INSTANCES];
bit seenOpen[INSTANCES], seenVote[INSTANCES];
byte seenZeroed[INSTANCES];
bit orphan[INSTANCES];   /* a vote without an answer is under way */

/* Budgets. */
byte faults, acts, expiries, closings;
bit quiet;

/* For the invariants only. */
byte openings, pardons;  /* how often votes opened the circuit; how often muting was lifted */
bit hadOrphan[INSTANCES];

#define UNKNOWN 255
#define BIT(i) (1 << i)
#define HAS(set, i) ((set >> i) & 1)
#define SIZE(set) (HAS(set, 0) + HAS(set, 1) + HAS(set, 2) + HAS(set, 3))
#ifdef BROKEN_VOTES_FOR_EVER
#define STANDING votes
#else
#define STANDING (votes & ~stale)
#endif
#define IS_OPEN (forced == FORCED_OPEN || (forced == UNFORCED && state == OPEN))
#define ROW state, votes & ~stale, voters, muted
#define IS_DUE(i) (isOpen[i] -> !voted[i] : mayStand[i])

#ifdef BROKEN_NO_MUTING
#define MAY_VOTE(i) (!IS_OPEN && state == CLOSED)
#else
#define MAY_VOTE(i) (!IS_OPEN && state == CLOSED && !HAS(muted, i))
#endif

/* A vote that counts twice is a vote of two instances. */
#ifdef BROKEN_VOTES_ARE_ADDED_UP
#define VOTES_WITH(i) (SIZE(STANDING) + 1)
#else
#define VOTES_WITH(i) SIZE((STANDING | BIT(i)))
#endif

#ifdef BROKEN_LATE_VOTE_IS_FORGOTTEN
inline clear(i, vote) { isOpen[i] = 0; voted[i] = 0; mayStand[i] = 0 }
#else
inline clear(i, vote) { isOpen[i] = 0; voted[i] = 0; mayStand[i] = vote }
#endif

/* What an answer says of the fleet's circuit. */
inline follow(i, opened, zeroedThen, vote) {
  if
  :: opened || (known[i] != UNKNOWN && zeroedThen > known[i]) -> clear(i, vote)
  :: else -> skip
  fi;
  if
  :: known[i] == UNKNOWN || zeroedThen > known[i] -> known[i] = zeroedThen
  :: else -> skip
  fi
}

/* The vote reaches the row. */
inline vote(i) {
  if
  :: MAY_VOTE(i) && forced == UNFORCED && VOTES_WITH(i) >= QUORUM ->
     /* As many different instances as the quorum wants have votes that stand, and all of them fail. */
     assert(SIZE(((votes & ~stale) | BIT(i))) >= QUORUM);
     assert((((votes & ~stale) | BIT(i)) & 7 & ~BAD) == 0);
     assert(SIZE(BAD) >= QUORUM);
     voters = STANDING | BIT(i); state = OPEN; openings++;
#ifdef FLAPPING
     /* Those that were outvoted by a working probe do not open the circuit again. */
     assert(openings <= 1 + pardons);
#endif
#ifndef BROKEN_VOTES_OUTLIVE_OPENING
     votes = 0; stale = 0
#endif
  :: MAY_VOTE(i) && !(forced == UNFORCED && VOTES_WITH(i) >= QUORUM) ->
     votes = STANDING | BIT(i);
     stale = stale & votes & ~BIT(i)
  :: else -> skip
  fi;
  assert(state == CLOSED || votes == 0);
  printf("VOTE %d %d %d %d %d\n", i, ROW)
}

/* With -DRECOVERS a quiet world is one in which nothing fails any more. */
#ifdef RECOVERS
#define FAILS !quiet
#else
#define FAILS true
#endif

proctype Instance(byte i) {
  bit wasOpen;
end:
  do
  /* A result of this instance fails, and makes its own rule due. */
  :: d_step {
       HAS(BAD, i) && !isOpen[i] && FAILS ->
       follow(i, IS_OPEN, zeroed, HAS(votes, i));
       if
       :: !IS_OPEN && forced == UNFORCED -> isOpen[i] = 1
       :: else -> skip
       fi
     }
  /* Likewise, and the record does not reach the database. */
  :: d_step { HAS(BAD, i) && !isOpen[i] && faults > 0 && !quiet -> faults--; isOpen[i] = 1 }
#ifdef RECOVERS
  /* A probe of its own succeeds, or a caller closes the circuit for it. */
  :: d_step { isOpen[i] -> isOpen[i] = 0; voted[i] = 0 }
#endif
  /* It reads the circuit. */
  :: d_step {
       known[i] != UNKNOWN && (zeroed != known[i] || (IS_OPEN && (isOpen[i] || mayStand[i]))) ->
       follow(i, IS_OPEN, zeroed, HAS(votes, i))
     }
  /* The renewal of its vote is due, which a call sends. */
  :: d_step {
       isOpen[i] && voted[i] && !(quiet && (HAS(STANDING, i) && SIZE(STANDING) < QUORUM || !MAY_VOTE(i) || forced != UNFORCED)) ->
       voted[i] = 0
     }
  :: d_step {
       sending[i] == SILENT && IS_DUE(i) ->
       if
       :: isOpen[i] ->
          sending[i] = VOTING; mayStand[i] = 1
       :: else -> sending[i] = WITHDRAWING
       fi
     }
  :: d_step {
       sending[i] == VOTING ->
       vote(i);
       seenOpen[i] = IS_OPEN; seenZeroed[i] = zeroed; seenVote[i] = HAS(votes, i);
       sending[i] = VOTED
     }
  :: d_step {
       sending[i] == VOTED ->
       mayStand[i] = 1;
       wasOpen = isOpen[i];
       voted[i] = wasOpen;
       follow(i, seenOpen[i], seenZeroed[i], seenVote[i]);
       if
       :: wasOpen && !isOpen[i] -> mayStand[i] = seenVote[i]
       :: else -> skip
       fi;
       wasOpen = 0; seenOpen[i] = 0; seenVote[i] = 0; seenZeroed[i] = 0;
       sending[i] = SILENT
     }
  :: d_step {
       sending[i] == WITHDRAWING ->
       votes = votes & ~BIT(i); stale = stale & ~BIT(i);
       if
       :: HAS(muted, i) -> muted = muted & ~BIT(i); pardons++
       :: else -> skip
       fi;
       sending[i] = WITHDRAWN;
       printf("WITHDRAW %d %d %d %d %d\n", i, ROW)
     }
  :: d_step { sending[i] == WITHDRAWN -> mayStand[i] = 0; sending[i] = SILENT }
  /* No answer comes: the statement was lost, or it was committed, or it runs later. */
  :: d_step {
       (sending[i] == VOTING || sending[i] == VOTED || sending[i] == WITHDRAWING || sending[i] == WITHDRAWN) &&
         faults > 0 && !quiet ->
       faults--;
#ifndef BROKEN_UNKNOWN_FATE_IS_FORGOTTEN
       mayStand[i] = (sending[i] == VOTING || sending[i] == VOTED || mayStand[i]);
#endif
       sending[i] = SILENT; seenOpen[i] = 0; seenVote[i] = 0; seenZeroed[i] = 0
     }
  :: d_step {
       sending[i] == VOTING && !orphan[i] && faults > 0 && !quiet ->
       faults--; sending[i] = SILENT; orphan[i] = 1; hadOrphan[i] = 1; mayStand[i] = 1
     }
  :: d_step { orphan[i] -> orphan[i] = 0; vote(i) }
  od
}

/* A new process with the same label begins. What it sent is committed, is lost, or runs later. */
inline crash(i) {
  faults--;
  if
  :: sending[i] == VOTING && !orphan[i] -> orphan[i] = 1
  :: else -> skip
  fi;
  hadOrphan[i] = 1;
  clear(i, 0); sending[i] = SILENT; known[i] = UNKNOWN;
  seenOpen[i] = 0; seenVote[i] = 0; seenZeroed[i] = 0;
#ifdef BROKEN_LABEL_OF_PROCESS
  if
  :: HAS(votes, i) -> votes = (votes & ~BIT(i)) | 8
  :: else -> skip
  fi
#endif
}

/* The probe of instance i succeeds, and closes the fleet's circuit. */
inline closedByProbe(i) {
  closings--;
  state = CLOSED; zeroed++;
  muted = (HAS(voters, i) -> muted : muted | voters) & ~BIT(i);
  voters = 0; votes = 0; stale = 0;
  printf("CLOSED %d %d %d %d %d\n", i, ROW)
}

#define CAN_CLOSE(i) (state == OPEN && forced == UNFORCED && closings > 0 && !quiet && !HAS(BAD, i))
#define EXPIRES(i) (HAS(votes, i) && !HAS(stale, i) && expiries > 0 && !quiet)
#define VOTE_IS_MEANT(i) (!HAS(STANDING, i) || isOpen[i] || hadOrphan[i])

proctype World() {
end:
  do
  :: d_step { CAN_CLOSE(0) -> closedByProbe(0) }
  :: d_step { CAN_CLOSE(1) -> closedByProbe(1) }
  :: d_step { CAN_CLOSE(2) -> closedByProbe(2) }
#ifdef ALL_EXPIRE
  :: d_step { (votes & ~stale) != 0 && expiries > 0 && !quiet -> expiries--; stale = votes; printf("EXPIRE 0 %d %d %d %d\n", ROW) }
#else
  :: d_step { EXPIRES(0) -> expiries--; stale = stale | 1 }
  :: d_step { EXPIRES(1) -> expiries--; stale = stale | 2 }
  :: d_step { EXPIRES(2) -> expiries--; stale = stale | 4 }
#endif
  :: d_step { !quiet && faults > 0 -> crash(0) }
  :: d_step { !quiet && faults > 0 -> crash(1) }
  :: d_step { !quiet && acts > 0 -> acts--; forced = FORCED_OPEN; votes = 0; stale = 0; printf("FORCE_OPEN 0 %d %d %d %d\n", ROW) }
  :: d_step { !quiet && acts > 0 -> acts--; forced = FORCED_CLOSED; printf("FORCE_CLOSED 0 %d %d %d %d\n", ROW) }
  :: d_step { forced != UNFORCED -> forced = UNFORCED; printf("RELEASE 0 %d %d %d %d\n", ROW) }
  :: d_step {
       !quiet && acts > 0 && (state != CLOSED || forced != UNFORCED || votes != 0) ->
       acts--; state = CLOSED; forced = UNFORCED; zeroed++;
       votes = 0; stale = 0; voters = 0; muted = 0; pardons++;
       printf("RESET 0 %d %d %d %d\n", ROW)
     }
#ifndef NEVER_QUIET
  :: atomic { !quiet -> quiet = 1 }
#endif
  :: timeout ->
     /* A vote that stands is one that its instance means, and that it can withdraw. */
     assert(!quiet || VOTE_IS_MEANT(0) && VOTE_IS_MEANT(1) && VOTE_IS_MEANT(2));
     /* Enough instances that fail open the circuit, unless they are muted. */
#ifndef RECOVERS
     assert(!quiet || state == OPEN || SIZE((BAD & ~muted)) < QUORUM);
#endif
     break
  od
}

init {
  atomic {
    faults = FAULTS; acts = ACTS; expiries = EXPIRIES; closings = CLOSINGS;
    known[0] = UNKNOWN; known[1] = UNKNOWN; known[2] = UNKNOWN;
    run Instance(0); run Instance(1); run Instance(2); run World()
  }
}
