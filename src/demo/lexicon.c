/* Names, places and subjects. Invented people at reserved domains; the names
 * hold enough accents and apostrophes to catch a careless reader.
 */
#include "demo/demo_internal.h"

const struct demo_name demo_first_names[] = {
    {"James", "james"},     {"Maria", "maria"},
    {"Robert", "robert"},   {"Linda", "linda"},
    {"Michael", "michael"}, {"Patricia", "patricia"},
    {"David", "david"},     {"Jennifer", "jennifer"},
    {"José", "jose"},       {"Elena", "elena"},
    {"Wei", "wei"},         {"Aisha", "aisha"},
    {"Daniel", "daniel"},   {"Zoë", "zoe"},
    {"Łukasz", "lukasz"},   {"Priya", "priya"},
    {"Thomas", "thomas"},   {"Sofía", "sofia"},
    {"Kevin", "kevin"},     {"Fatima", "fatima"},
    {"Brian", "brian"},     {"Nguyễn", "nguyen"},
    {"Grace", "grace"},     {"Omar", "omar"},
    {"Chloe", "chloe"},     {"Andre", "andre"},
    {"Renée", "renee"},     {"Samuel", "samuel"},
    {"Olivia", "olivia"},   {"Björn", "bjorn"},
    {"Hannah", "hannah"},   {"Marcus", "marcus"},
    {"Yuki", "yuki"},       {"Tamara", "tamara"},
    {"Eric", "eric"},       {"Siobhán", "siobhan"},
    {"Carlos", "carlos"},   {"Rachel", "rachel"},
    {"Dmitri", "dmitri"},   {"Ngozi", "ngozi"},
    {"Peter", "peter"},     {"Lucía", "lucia"},
    {"Anthony", "anthony"}, {"Mei", "mei"},
    {"Kyle", "kyle"},       {"Ingrid", "ingrid"},
    {"Hassan", "hassan"},   {"Deborah", "deborah"},
    {"Rajesh", "rajesh"},   {"Natalie", "natalie"},
    {"Joshua", "joshua"},   {"Amara", "amara"},
    {"Steven", "steven"},   {"Françoise", "francoise"},
    {"Tyrone", "tyrone"},   {"Emily", "emily"},
    {"Viktor", "viktor"},   {"Leila", "leila"},
    {"George", "george"},   {"Mónica", "monica"},
    {"Jason", "jason"},     {"Sarah", "sarah"},
    {"Kwame", "kwame"},     {"Allison", "allison"},
    {"Paul", "paul"},       {"Irina", "irina"},
    {"Diego", "diego"},     {"Stephanie", "stephanie"},
    {"Mehmet", "mehmet"},   {"Laura", "laura"},
    {"Gregory", "gregory"}, {"Thandiwe", "thandiwe"},
    {"Jack", "jack"},       {"Nicole", "nicole"},
    {"Arjun", "arjun"},     {"Beth", "beth"},
    {"Ryan", "ryan"},       {"Mia", "mia"},
    {"Jürgen", "jurgen"},   {"Denise", "denise"},
};
const size_t demo_first_name_count = TN_COUNT(demo_first_names);

const struct demo_name demo_last_names[] = {
    {"Smith", "smith"},       {"Johnson", "johnson"},     {"Williams", "williams"},
    {"Garcia", "garcia"},     {"Brown", "brown"},         {"Jones", "jones"},
    {"Nguyen", "nguyen"},     {"Rodríguez", "rodriguez"}, {"Miller", "miller"},
    {"Davis", "davis"},       {"Martínez", "martinez"},   {"Patel", "patel"},
    {"Wilson", "wilson"},     {"Anderson", "anderson"},   {"O'Brien", "obrien"},
    {"Taylor", "taylor"},     {"Thomas", "thomas"},       {"Lee", "lee"},
    {"Müller", "muller"},     {"Okafor", "okafor"},       {"Moore", "moore"},
    {"Jackson", "jackson"},   {"Kowalczyk", "kowalczyk"}, {"Chen", "chen"},
    {"Martin", "martin"},     {"White", "white"},         {"Ibrahim", "ibrahim"},
    {"Thompson", "thompson"}, {"Harris", "harris"},       {"Sánchez", "sanchez"},
    {"Clark", "clark"},       {"Ramirez", "ramirez"},     {"Lewis", "lewis"},
    {"D'Angelo", "dangelo"},  {"Robinson", "robinson"},   {"Walker", "walker"},
    {"Kim", "kim"},           {"Young", "young"},         {"Singh", "singh"},
    {"Allen", "allen"},       {"King", "king"},           {"Núñez", "nunez"},
    {"Wright", "wright"},     {"Scott", "scott"},         {"Torres", "torres"},
    {"Hill", "hill"},         {"Flores", "flores"},       {"Green", "green"},
    {"Adams", "adams"},       {"Nelson", "nelson"},       {"Baker", "baker"},
    {"Hall", "hall"},         {"Rivera", "rivera"},       {"Campbell", "campbell"},
    {"Mitchell", "mitchell"}, {"Carter", "carter"},       {"Roberts", "roberts"},
    {"Gómez", "gomez"},       {"Phillips", "phillips"},   {"Evans", "evans"},
    {"Turner", "turner"},     {"Díaz", "diaz"},           {"Parker", "parker"},
    {"Cruz", "cruz"},         {"Edwards", "edwards"},     {"Collins", "collins"},
    {"Reyes", "reyes"},       {"Stewart", "stewart"},     {"Morris", "morris"},
    {"Morales", "morales"},   {"Murphy", "murphy"},       {"Cook", "cook"},
    {"Rogers", "rogers"},     {"Gutiérrez", "gutierrez"}, {"Ortiz", "ortiz"},
    {"Morgan", "morgan"},     {"Cooper", "cooper"},       {"Peterson", "peterson"},
    {"Bailey", "bailey"},     {"Reed", "reed"},           {"Kelly", "kelly"},
    {"Howard", "howard"},     {"Ramos", "ramos"},         {"Øster", "oster"},
    {"Cox", "cox"},           {"Ward", "ward"},           {"Richardson", "richardson"},
    {"Watson", "watson"},     {"Brooks", "brooks"},       {"Chavez", "chavez"},
    {"Wood", "wood"},         {"Bennett", "bennett"},     {"Gray", "gray"},
    {"Mendoza", "mendoza"},   {"Ruiz", "ruiz"},           {"Hughes", "hughes"},
    {"Price", "price"},       {"Álvarez", "alvarez"},     {"Castillo", "castillo"},
    {"Sanders", "sanders"},   {"Novak", "novak"},         {"Sørensen", "sorensen"},
    {"Abdullah", "abdullah"}, {"Mbeki", "mbeki"},         {"Tanaka", "tanaka"},
    {"Ivanova", "ivanova"},   {"Rossi", "rossi"},         {"Dubois", "dubois"},
};
const size_t demo_last_name_count = TN_COUNT(demo_last_names);

/* Boston to Burlington begin with a zero: a reader that makes numbers of zip
 * codes loses it. */
const struct demo_city demo_cities[] = {
    {"Chicago", "IL", 312, 60601, 60, 130},     {"New York", "NY", 212, 10001, 280, 110},
    {"Dallas", "TX", 214, 75201, 90, 80},       {"Houston", "TX", 713, 77002, 98, 80},
    {"Atlanta", "GA", 404, 30303, 70, 70},      {"Boston", "MA", 617, 2108, 28, 65},
    {"Phoenix", "AZ", 602, 85003, 80, 55},      {"Columbus", "OH", 614, 43201, 35, 45},
    {"Indianapolis", "IN", 317, 46201, 80, 40}, {"Nashville", "TN", 615, 37201, 25, 40},
    {"Newark", "NJ", 973, 7102, 13, 38},        {"Charlotte", "NC", 704, 28202, 75, 38},
    {"Denver", "CO", 303, 80202, 60, 38},       {"Seattle", "WA", 206, 98101, 90, 36},
    {"Minneapolis", "MN", 612, 55401, 50, 30},  {"Detroit", "MI", 313, 48201, 35, 30},
    {"St. Louis", "MO", 314, 63101, 45, 26},    {"Milwaukee", "WI", 414, 53202, 30, 24},
    {"Kansas City", "MO", 816, 64101, 55, 22},  {"Hartford", "CT", 860, 6103, 13, 20},
    {"Louisville", "KY", 502, 40202, 40, 18},   {"Memphis", "TN", 901, 38103, 40, 18},
    {"Providence", "RI", 401, 2903, 7, 14},     {"Omaha", "NE", 402, 68102, 40, 12},
    {"Des Moines", "IA", 515, 50309, 15, 10},   {"Worcester", "MA", 508, 1602, 9, 10},
    {"Portland", "ME", 207, 4101, 3, 8},        {"Burlington", "VT", 802, 5401, 8, 6},
    {"Manchester", "NH", 603, 3101, 9, 6},      {"Coeur d'Alene", "ID", 208, 83814, 3, 4},
};
const size_t demo_city_count = TN_COUNT(demo_cities);

const char *const demo_recruiters[] = {
    "Dana Whitfield", "Marcus Bell",   "Sofia Reyes",   "Tom Hargrove",  "Priya Nair",      "Jenna O'Connor",
    "Luis Ortega",    "Katie Brandt",  "Andre Simmons", "Megan Doyle",   "Victor Lindgren", "Aaliyah Foster",
    "Ben Katz",       "Claire Dupont", "Rashid Khan",   "Holly Jensen",  "Miguel Santos",   "Tara McBride",
    "Owen Price",     "Naomi Fischer", "Derek Stone",   "Isabel Cortez", "Paul Novotny",    "Grace Adeyemi",
    "Sam Takahashi",  "Lauren Pike",   "Ian Calloway",  "Beatriz Lima",  "Chris Vaughn",    "Amy Sorensen",
    "Nate Holloway",  "Ruth Abrams",   "Jorge Medina",  "Kelly Strand",  "Farah Aziz",      "Doug Petrie",
};
const size_t demo_recruiter_count = TN_COUNT(demo_recruiters);

/* The first DEMO_CARE_TAILS are for healthcare alone. */
const char *const demo_company_tails[] = {
    " Health System", " Memorial Hospital", " Clinics, P.C.", " & Sons", " Logistics",       ", Inc.",
    " Manufacturing", " Technologies",      " Group, LLC",    " Foods",  " Financial",       " Industries",
    " Distribution",  " Software",          " Construction",  " Energy", " & Partners, LLP", " Retail Stores",
};
const size_t demo_company_tail_count = TN_COUNT(demo_company_tails);

const char *const demo_subjects[] = {
    "New role that matches your background",
    "Interview confirmed for %s",
    "Following up on our call",
    "Are you still available?",
    "Timesheet reminder, please submit by Monday",
    "Your assignment in %s",
    "Re: rate question",
    "Documents needed before your start date",
    "Openings this week in %s",
    "Thank you for your application",
    "Benefits enrollment closes soon",
    "\"Urgent\": shift available tomorrow in %s",
};
const size_t demo_subject_count = TN_COUNT(demo_subjects);
