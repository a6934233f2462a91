/*
 * The protocol of probes: claims, leases, fences, forced states, resets and crashes, for one circuit
 * of a fleet. `deno task model` checks all interleavings with spin, and `tests/model/replay_test.ts`
 * replays random traces of this model on the real stores.
 *
 * What a statement does to the row is one atomic step, because the statement locks the row. A call of an
 * instance takes several steps, and everything else can happen between them.
 *
 * | here          | there                                                                        |
 * | ------------- | ---------------------------------------------------------------------------- |
 * | DUE, VACANT   | isRoundDue, vacantProbes (src/rules/probing.ts)                              |
 * | PATIENCE      | Gate.#patienceFor (src/admission/gate.ts)                                    |
 * | claim         | claimStatement (src/postgres/statements/probe.ts), MemoryCircuits.claim      |
 * | remember      | Claims.add (src/admission/claims.ts)                                         |
 * | finish        | Claims.remove for permits, Claims.take for the policy                        |
 * | settle        | settleStatement, settlement (src/rules/settling.ts), isCurrentRound          |
 * | newRound      | MemoryTable.move to half-open, leaseAfterMove, keptSuccesses                 |
 * | force, release| forceStatement (src/postgres/statements/force.ts)                            |
 * | forceEnds     | the noticed change of changeSql (src/postgres/statements/change.ts)          |
 * | reset         | resetStatement                                                               |
 * | prune         | pruneStatement: the row leaves, and a later one begins with version 0        |
 * | trip          | recordAndTripStatement, or the move of a caller; here at any time            |
 *
 * Time is the age of the row: 0 while its lease or its reset timeout runs, 1 when that is over, 2 when
 * one more lease is over, which is the patience of an instance that owes a claim. Only comparisons with
 * these moments decide, so the three ages stand for all times. Time may pass before any step: each
 * result can come late.
 *
 * The world may turn quiet at any moment. From then on no fault and no act happens and every probe
 * succeeds in time, unless it hangs already. The circuit then has to close.
 *
 * A variant that is broken on purpose is compiled in with -DBROKEN_...; spin has to find each.
 */

#ifndef SLOTS
#define SLOTS 3          /* calls at the same time; call k is of instance k % INSTANCES */
#endif
#ifndef INSTANCES
#define INSTANCES 3
#endif
#ifndef HALF_OPEN_MAX
#define HALF_OPEN_MAX 1
#endif
#ifndef SUCCESSES
#define SUCCESSES 1
#endif
#ifndef ROUNDS
#define ROUNDS 2         /* rounds of probes before the world is quiet */
#endif
#ifndef TRIPS
#define TRIPS 2
#endif
#ifndef FAULTS
#define FAULTS 1         /* crashes, lost statements, answers of unknown fate, probes that hang for ever */
#endif
#ifndef ACTS
#define ACTS 1           /* acts of an operator: force, reset, close */
#endif

#define CLOSED 0
#define OPEN 1
#define HALF 2

#define UNFORCED 0
#define FORCED_OPEN 1
#define FORCED_CLOSED 2

#define FREE 0           /* no call */
#define ASKING 1         /* the circuit was read, the claim is to be sent or under way */
#define ORPHAN 2         /* the claim is under way, and its answer will reach nobody */
#define CLAIMED 3        /* the claim is committed, its answer is under way */
#define RUNNING 4        /* the probe runs */
#define HUNG 5           /* the probe runs and will never end */
#define SETTLING 6       /* the result is under way */

#define SUCCESS 0
#define FAILURE 1
#define IGNORED 2
#define UNCLAIMED 3      /* the policy reports a success without an owed claim */

/* The row, and the table's sequence. */
byte state, version, seq, count, settled, successes, forced, age;
bit unnoticed;           /* a forced state has ended, and the log does not know it yet */

#define ROW state, version, count, settled

/* The calls. */
byte phase[SLOTS], fence[SLOTS], outcome[SLOTS];
bit patient[SLOTS];

/* What an instance remembers: the claims that it owes are all of one round. */
byte owedFence[INSTANCES], owed[INSTANCES];

/* Budgets. */
byte rounds, trips, faults, acts;
bit quiet;

/* For the invariants only: what is true, whatever the versions say. */
byte truth;                     /* which fence is in force; no number comes back */
byte round;                     /* which round of probes */
byte trueFence[SLOTS], roundOf[SLOTS];
byte granted, succeeded;        /* probes of the round, and successes of the round that counted */
byte inARow;                    /* successes since the last probe that failed or was lost */
bit late[SLOTS];                /* the call is out for longer than a lease and the patience */
bit confused[INSTANCES];        /* a result of the policy may be taken for another one */

#ifdef BROKEN_LEASE_FOR_EVER
#define DUE(pat) ((state == OPEN && age >= 1 + pat) || (state == HALF && pat == 0 && settled >= HALF_OPEN_MAX))
#else
#define DUE(pat) ((state == OPEN && age >= 1 + pat) || (state == HALF && (age >= 1 + pat || (pat == 0 && settled >= HALF_OPEN_MAX))))
#endif
#define JOINABLE(pat) (state == HALF && pat == 0 && count < HALF_OPEN_MAX)
#define VACANT(pat) (DUE(pat) || JOINABLE(pat))

#define IS_OWN_ROUND(i) (state == HALF && owedFence[i] == version && !DUE(0))
#ifdef BROKEN_NO_PATIENCE
#define PATIENCE(i) 0
#else
#define PATIENCE(i) (owed[i] == 0 || IS_OWN_ROUND(i) -> 0 : 1)
#endif
#ifdef BROKEN_PATIENCE_FOR_EVER
#define MAY_ASK(i) (owed[i] == 0 || IS_OWN_ROUND(i))
#else
#define MAY_ASK(i) true
#endif

#ifdef BROKEN_NO_FENCE
#define IS_CURRENT(f) (state == HALF)
#else
#define IS_CURRENT(f) (state == HALF && version == f)
#endif

#define CAN_ASK(k, i) (phase[k] == FREE && forced == UNFORCED && state != CLOSED && MAY_ASK(i) && VACANT(PATIENCE(i)))

/* A new version. It never comes back, because a sequence draws it and not the row. */
inline draw() {
  truth++;
#ifdef BROKEN_VERSION_OF_ROW
  version++;
#else
  seq++;
  assert(seq > version);
  version = seq;
#endif
}

/* Each statement that locks the row stamps a version where a forced state has ended by its time. */
inline notice() {
  if
  :: unnoticed -> draw(); unnoticed = 0
  :: else -> skip
  fi
}

inline moveTo(to) {
  draw();
  state = to; count = 0; settled = 0; successes = 0; age = 0;
  granted = 0; succeeded = 0; inARow = 0;
}

inline newRound() {
  /* A round begins in a half-open circuit where its leases are over, or no probe of it is out. */
  assert(state != HALF || age > 0 || granted == succeeded);
  if
  :: state == HALF && granted == succeeded -> skip
  :: else -> inARow = 0
  fi;
#ifndef BROKEN_LOST_PROBE_COUNTS
  if
#ifdef BROKEN_ONLY_FULL_ROUNDS_COUNT
  :: state == HALF && settled >= HALF_OPEN_MAX -> skip
#else
  :: state == HALF && settled >= count -> skip
#endif
  :: else -> successes = 0
  fi;
#endif
#ifdef BROKEN_ROUND_WITHOUT_VERSION
  if
  :: state == HALF -> truth++
  :: else -> draw()
  fi;
#else
  draw();
#endif
  state = HALF; count = 1; settled = 0;
  round++; granted = 1; succeeded = 0
}

byte n, each;
#define EACH(body) each = 0; do :: each < SLOTS -> body; each++ :: else -> break od; each = 0

/* At most HALF_OPEN_MAX requests of the fleet are probes of one round. */
inline checkLeases() {
  n = succeeded;
  EACH(if
    :: phase[each] >= CLAIMED && phase[each] <= SETTLING && roundOf[each] == round &&
       state == HALF -> n++
    :: else -> skip
    fi);
  assert(n <= HALF_OPEN_MAX);
  n = 0
}

inline apply(k) {
  if
  :: outcome[k] == SUCCESS && successes + 1 >= SUCCESSES ->
     /* Enough probes have succeeded in a row. */
     assert(inARow + 1 >= SUCCESSES);
     moveTo(CLOSED)
  :: outcome[k] == SUCCESS && successes + 1 < SUCCESSES ->
     settled++; successes++; succeeded++; inARow++
  :: outcome[k] == FAILURE -> moveTo(OPEN)
  :: outcome[k] == IGNORED ->
     if
     :: count > settled -> count--; granted--
     :: else -> skip
     fi
  fi
}

/* The instance knows its claim. Claims of other rounds are dropped. */
inline remember() {
  if
  :: owedFence[i] == fence[k] -> owed[i]++
  :: else ->
#ifdef POLICY
     EACH(if
       :: each % INSTANCES == i && each != k && (phase[each] == RUNNING || phase[each] == HUNG) ->
          /* It waited for one more lease, so the earlier probe is out for longer than two. */
          assert(late[each] || trueFence[each] == trueFence[k] || patient[k]);
          late[each] = 1; late[k] = 1; confused[i] = 1
       :: else -> skip
       fi);
#endif
     owedFence[i] = fence[k]; owed[i] = 1
  fi;
  phase[k] = RUNNING
}

inline crash(i) {
  EACH(if
    :: each % INSTANCES != i -> skip
    :: each % INSTANCES == i && phase[each] == ASKING -> phase[each] = ORPHAN
    :: each % INSTANCES == i && (phase[each] == CLAIMED || phase[each] == RUNNING || phase[each] == HUNG) ->
       phase[each] = FREE; fence[each] = 0; trueFence[each] = 0; roundOf[each] = 0; late[each] = 0
    /* A result that was sent may still arrive. */
    :: else -> skip
    fi);
  owed[i] = 0; owedFence[i] = 0; confused[i] = 0
}

proctype Call(byte k) {
  byte i = k % INSTANCES;
end:
  do
  /* The circuit is read, and judged in memory: is a claim worth a statement? */
  :: d_step {
       CAN_ASK(k, i) ->
       patient[k] = PATIENCE(i);
       phase[k] = ASKING
     }
  /* The claim. */
  :: d_step {
       (phase[k] == ASKING || phase[k] == ORPHAN) &&
         (quiet || rounds < ROUNDS || forced != UNFORCED || !DUE(patient[k])) ->
       notice();
       if
       :: forced != UNFORCED || !VACANT(patient[k]) ->
          phase[k] = FREE;
          printf("CLAIM %d %d 0 %d %d %d %d\n", i, patient[k], state, version, count, settled)
       :: else ->
          if
          :: DUE(patient[k]) -> rounds = (quiet -> rounds : rounds + 1); newRound()
          :: else -> granted++;
#ifndef BROKEN_UNCOUNTED_CLAIM
             count++
#endif
          fi;
          age = 0;
          fence[k] = version; trueFence[k] = truth; roundOf[k] = round; late[k] = 0;
          printf("CLAIM %d %d 1 %d %d %d %d\n", i, patient[k], ROW);
          if
          :: phase[k] == ORPHAN -> phase[k] = FREE; fence[k] = 0; trueFence[k] = 0; roundOf[k] = 0
          :: else -> phase[k] = CLAIMED
          fi;
          checkLeases();
#ifdef POLICY
          /* A deadline ends before a lease does: the answer comes in time, or not at all. */
          if
          :: phase[k] == CLAIMED -> remember()
          :: else -> skip
          fi
#endif
       fi;
       patient[k] = 0
     }
#ifndef POLICY
  :: d_step { phase[k] == CLAIMED -> remember() }
#endif
  /* The deadline of the claim ends before its answer comes. The row may have it all the same. */
  :: d_step { phase[k] == ASKING && faults > 0 && !quiet -> faults--; phase[k] = ORPHAN }
  /* The probe ends. */
  :: atomic {
       phase[k] == RUNNING ->
       if
       :: true -> outcome[k] = SUCCESS
       :: !quiet -> outcome[k] = FAILURE
#if !defined(POLICY) && !defined(NONE_IGNORED)
       /* Callers may ignore results for ever. -DNONE_IGNORED leaves this one endless path out. */
       :: !quiet -> outcome[k] = IGNORED
#endif
       fi;
       phase[k] = SETTLING;
#ifdef POLICY
       /* The policy does not say which request it reports on: the claim of the instance decides. */
       if
       :: owed[i] > 0 -> fence[k] = owedFence[i]; owed[i]--
       :: else ->
          assert(confused[i]);
          fence[k] = 0;
          outcome[k] = (outcome[k] == SUCCESS -> UNCLAIMED : outcome[k])
       fi
#else
       if
       :: owed[i] > 0 && owedFence[i] == fence[k] -> owed[i]--
       :: else -> skip
       fi
#endif
       ;
       if
       :: owed[i] == 0 -> owedFence[i] = 0
       :: else -> skip
       fi
     }
  :: d_step { phase[k] == RUNNING && faults > 0 && !quiet -> faults--; phase[k] = HUNG }
  /* The result reaches the row. */
  :: d_step {
       phase[k] == SETTLING ->
       if
       :: outcome[k] == UNCLAIMED ->
          notice();
          if
          :: forced == UNFORCED && state != CLOSED -> moveTo(CLOSED)
          :: else -> skip
          fi
       :: outcome[k] != UNCLAIMED && forced == UNFORCED && IS_CURRENT(fence[k]) ->
          /* A result counts only for the fence of its claim. */
          assert(trueFence[k] == truth || late[k] || confused[i]);
          notice();
          apply(k)
       :: else -> notice()
       fi;
       printf("SETTLE %d %d %d %d %d %d %d\n", i, outcome[k], fence[k], ROW);
       phase[k] = FREE; fence[k] = 0; outcome[k] = 0; trueFence[k] = 0; roundOf[k] = 0; late[k] = 0
     }
  /* The result never reaches the row. */
  :: d_step {
       phase[k] == SETTLING && faults > 0 && !quiet ->
       faults--;
       phase[k] = FREE; fence[k] = 0; outcome[k] = 0; trueFence[k] = 0; roundOf[k] = 0; late[k] = 0
     }
  od
}

#define NO_PROBE_UNDER_WAY(p) (p == FREE || p == HUNG)

#define OWNER(k) (k % INSTANCES)
#if SLOTS == 3
#define NONE_CAN_ASK (!CAN_ASK(0, OWNER(0)) && !CAN_ASK(1, OWNER(1)) && !CAN_ASK(2, OWNER(2)))
#define ALL_IDLE (NO_PROBE_UNDER_WAY(phase[0]) && NO_PROBE_UNDER_WAY(phase[1]) && NO_PROBE_UNDER_WAY(phase[2]))
#define NONE_ASKS (phase[0] != ASKING && phase[1] != ASKING && phase[2] != ASKING)
#define SOME_FREE (phase[0] == FREE || phase[1] == FREE || phase[2] == FREE)
#else
#define NONE_CAN_ASK (!CAN_ASK(0, OWNER(0)) && !CAN_ASK(1, OWNER(1)) && !CAN_ASK(2, OWNER(2)) && !CAN_ASK(3, OWNER(3)))
#define ALL_IDLE (NO_PROBE_UNDER_WAY(phase[0]) && NO_PROBE_UNDER_WAY(phase[1]) && NO_PROBE_UNDER_WAY(phase[2]) && NO_PROBE_UNDER_WAY(phase[3]))
#define NONE_ASKS (phase[0] != ASKING && phase[1] != ASKING && phase[2] != ASKING && phase[3] != ASKING)
#define SOME_FREE (phase[0] == FREE || phase[1] == FREE || phase[2] == FREE || phase[3] == FREE)
#endif

/* With -DSPARSE a lease may end before the next request comes. */
#ifdef SPARSE
#undef NONE_CAN_ASK
#define NONE_CAN_ASK true
#endif

/* A call's deadline ends before a lease does; only the policy, which has no permits, depends on it. */
#ifdef POLICY
#define IN_TIME NONE_ASKS
#else
#define IN_TIME true
#endif

proctype World() {
  byte i;
end:
  do
  :: d_step {
       !quiet && trips > 0 && state == CLOSED && forced == UNFORCED && !unnoticed ->
       trips--; moveTo(OPEN); printf("TRIP 0 %d %d %d %d\n", ROW)
     }
  /* Time passes. In a quiet world it waits for requests and for probes, which then answer in time. */
  :: d_step {
       state != CLOSED && age < 2 && IN_TIME && (!quiet || (ALL_IDLE && NONE_CAN_ASK)) -> age++; printf("TICK 0 %d %d %d %d\n", ROW)
     }
  :: d_step {
       !quiet && acts > 0 -> acts--;
#ifdef BROKEN_FORCE_WITHOUT_VERSION
       truth++;
#else
       notice(); draw();
#endif
       unnoticed = 0; forced = FORCED_OPEN; printf("FORCE_OPEN 0 %d %d %d %d\n", ROW)
     }
  :: d_step {
       !quiet && acts > 0 -> acts--;
#ifdef BROKEN_FORCE_WITHOUT_VERSION
       truth++;
#else
       notice(); draw();
#endif
       unnoticed = 0; forced = FORCED_CLOSED; printf("FORCE_CLOSED 0 %d %d %d %d\n", ROW)
     }
  :: d_step { !quiet && forced != UNFORCED -> draw(); forced = UNFORCED; printf("RELEASE 0 %d %d %d %d\n", ROW) }
  /* A forced state ends by its time. Where the fleet sees another state then, it is noticed. */
  :: d_step {
       !quiet && forced != UNFORCED ->
       if
       :: (forced == FORCED_OPEN && state != OPEN) || (forced == FORCED_CLOSED && state != CLOSED) ->
          unnoticed = 1
       :: else -> skip
       fi;
       forced = UNFORCED; printf("EXPIRY 0 %d %d %d %d\n", ROW)
     }
  :: d_step {
       !quiet && acts > 0 && (state != CLOSED || forced != UNFORCED) ->
       acts--; notice(); moveTo(CLOSED); forced = UNFORCED; printf("RESET 0 %d %d %d %d\n", ROW)
     }
  :: d_step {
       !quiet && acts > 0 && state != CLOSED && forced == UNFORCED ->
       acts--; notice(); moveTo(CLOSED); printf("CLOSE 0 %d %d %d %d\n", ROW)
     }
  /* The row leaves. A row that comes back begins with version 0. */
  :: d_step {
       !quiet && state == CLOSED && forced == UNFORCED && !unnoticed && version > 0 -> version = 0; printf("PRUNE 0 %d %d %d %d\n", ROW)
     }
  :: d_step { !quiet && faults > 0 -> faults--; crash(0) }
#if INSTANCES > 1
  :: d_step { !quiet && faults > 0 -> faults--; crash(1) }
  :: d_step { !quiet && faults > 0 -> faults--; crash(2) }
#endif
#ifndef NEVER_QUIET
  :: atomic { !quiet -> quiet = 1 }
#endif
  /* Nothing is left to do: the circuit has closed, unless its state is forced. */
  :: timeout -> assert(!quiet || state == CLOSED || forced != UNFORCED || !SOME_FREE); break
  od
}

init {
  atomic {
    trips = TRIPS; faults = FAULTS; acts = ACTS;
    run Call(0); run Call(1); run Call(2);
#if SLOTS > 3
    run Call(3);
#endif
    run World()
  }
}
