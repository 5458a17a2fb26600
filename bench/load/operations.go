package load

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// keys is how many values a key is drawn from: few enough that rows are hit again and again.
const keys = 500

func (s *session) key() int64 { return 1 + s.random.Int64N(keys) }

// moved is what an account's number rises by when it gets another one; the next time it goes back.
const moved = 1000

// transfer moves money from one account table to the other, or gives an account another number. The
// sum of all balances stays what it was.
func (s *session) transfer() step {
	from, to := "checking", "savings"
	if s.chance(50) {
		from, to = to, from
	}
	if s.chance(5) {
		return run("update "+from+" set id = id + case when id > $2::int then -$2::int else $2::int end where id in ($1::int, $1::int + $2::int)", s.account(), moved)
	}
	amount := 1 + s.random.Int64N(200)
	const one = " where id in ($1::int, $1::int + $3::int)"
	return inOrder(
		exactlyOne("update "+from+" set balance = balance - $2"+one, s.account(), amount, moved),
		exactlyOne("update "+to+" set balance = balance + $2"+one, s.account(), amount, moved),
	)
}

func (s *session) account() int { return 1 + s.random.IntN(accounts) }

// insert writes a row now.
func (s *session) insert(ctx context.Context, tx pgx.Tx) error { return s.inserting()(ctx, tx) }

func (s *session) inserting() step {
	switch s.random.IntN(5) {
	case 0:
		return run(`insert into customers values ($1,$2,$3,$4,$5::text::numeric,$6,$7::text::date,$8::text::uuid,$9,$10::text::jsonb,$11,$12::text::timestamptz)
			on conflict do nothing`, s.key(), s.words(1, 3), s.null(s.email()), s.null(s.stage()), s.null(s.decimal(3)),
			s.null(s.chance(50)), s.null(s.date()), s.null(s.uuid()), s.null(s.tags()), s.null(s.object()), s.null(s.bytes()), s.null(s.moment()))
	case 1:
		return run(`insert into items values ($1,$2,$3,$4::text::numeric,$5,$6::text::timestamp) on conflict do nothing`,
			s.key(), s.null(s.words(1, 6)), s.null(s.body()), s.null(s.decimal(2)), s.null(s.random.NormFloat64()*100), s.null(s.moment()))
	case 2:
		return run(`insert into stock values ($1,$2,$3,$4) on conflict do nothing`,
			s.region(), s.key(), s.null(s.random.Int32N(1000)), s.null(s.words(0, 5)))
	case 3:
		// Twice the same row is what a table without key allows.
		visit := run(`insert into visits values ($1,$2,$3,$4::text::timestamptz)`,
			s.null(s.key()), s.null("/"+s.word()), s.null(s.random.Int32N(3000)), s.null(s.moment()))
		if s.chance(10) {
			return inOrder(visit, visit)
		}
		return visit
	default:
		return run(`insert into devices values ($1,$2,$3,$4) on conflict do nothing`,
			s.null(s.key()), s.serial(), s.null(s.stage()), s.null(s.random.Float32()))
	}
}

// update changes some columns of a row or of a few. Of items the long text is mostly left alone, so that
// it does not travel in the log.
func (s *session) update() step {
	switch s.random.IntN(6) {
	case 0:
		return run(`update customers set stage = $2, score = $3::text::numeric, email = $4, active = not active where id = $1`,
			s.key(), s.null(s.stage()), s.null(s.decimal(3)), s.null(s.email()))
	case 1:
		return run(`update customers set profile = $2::text::jsonb, tags = $3, photo = $4 where id between $1 and $1 + 3`,
			s.key(), s.null(s.object()), s.null(s.tags()), s.null(s.bytes()))
	case 2:
		return run(`update items set price = $2::text::numeric, updated_at = $3::text::timestamp where id between $1 and $1 + 5`,
			s.key(), s.null(s.decimal(2)), s.null(s.moment()))
	case 3:
		return run(`update items set body = $2 where id = $1`, s.key(), s.null(s.body()))
	case 4:
		return inOrder(
			run(`update stock set quantity = quantity + 1, note = $3 where region = $1 and item = $2`, s.region(), s.key(), s.null(s.words(0, 5))),
			run(`update visits set millis = $2 where customer = $1`, s.key(), s.null(s.random.Int32N(3000))))
	default:
		return run(`update devices set state = $2, level = $3 where serial = $1`, s.serial(), s.null(s.stage()), s.null(s.random.Float32()))
	}
}

// changeKey gives a row another key, which may be taken: then the server refuses.
func (s *session) changeKey() step {
	switch s.random.IntN(4) {
	case 0:
		return run(`update customers set id = $2, name = name || '.' where id = $1`, s.key(), s.key())
	case 1:
		return run(`update items set id = $2 where id = $1`, s.key(), s.key())
	case 2:
		return run(`update stock set region = $3 where region = $1 and item = $2`, s.region(), s.key(), s.region())
	default:
		return run(`update devices set serial = $2 where serial = $1`, s.serial(), s.serial())
	}
}

func (s *session) remove() step {
	switch s.random.IntN(5) {
	case 0:
		return run(`delete from customers where id = $1`, s.key())
	case 1:
		return run(`delete from items where id between $1 and $1 + 2`, s.key())
	case 2:
		return run(`delete from stock where item = $1`, s.key())
	case 3:
		return run(`delete from visits where customer = $1`, s.key())
	default:
		return run(`delete from devices where serial = $1`, s.serial())
	}
}

func (s *session) truncate() step {
	sql := "truncate stock"
	switch s.random.IntN(3) {
	case 0:
		sql = "truncate visits"
	case 1:
		sql = "truncate stock, visits"
	}
	return func(ctx context.Context, tx pgx.Tx) error {
		s.stats.truncates.Add(1)
		_, err := tx.Exec(ctx, sql)
		return err
	}
}
