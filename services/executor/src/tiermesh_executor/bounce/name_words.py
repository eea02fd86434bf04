"""Words that the search for made-up names needs: what joins the parts of a name, what begins a sentence, what is no
person, and the titles that mark a name in scripts without capitals.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Between or before parts of a name, written small.
PARTICLES = _words(
    "de del della dello dei degli da do dos das di du des la le las los lo van von der den het ten ter te 't zu zum "
    "zur af av bin ibn bint ben abu al el ul vom im of"
)

# Before these a sentence goes on: they make no name with what follows.
STARTS = _words(
    "the a an in on at of for to and or but so as if since from by your you my our their his her its this that these "
    "those there here it he she they we yes no please note with after before during until between total team paid "
    "annual sick unpaid parental study leave human hr mr mrs ms mx dr prof professor sir madam "
    "herr frau monsieur madame mme señor señora sr sra don doña signor signora senhor senhora meneer mevrouw "
    "госпожа господин г-н г-жа κύριος κυρία κ ο η το οι του της των"
)

# With one of these it is a day, a place in the company or a document.
NO_PERSON = _words(
    "january february march april june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday day eve year holiday christmas easter resources department office policy "
    "handbook payroll hours days "
    "januar februar märz juni juli oktober dezember montag dienstag mittwoch donnerstag freitag samstag sonntag "
    "tag tage tagen urlaub urlaubstage resturlaub jahr jahre jahres abteilung anfang ende mitte stand richtlinie "
    "handbuch stunden personalabteilung antrag anträge anspruch monat woche "
    "janvier février mars avril mai juin juillet août octobre novembre décembre département direction politique "
    "congés équipe jours heures ressources "
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre departamento política "
    "vacaciones equipo días horas recursos "
    "gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre dipartimento ferie giorni ore risorse "
    "januari februari maart mei augustus afdeling beleid verlof dagen uren "
    "janeiro fevereiro março maio junho julho setembro outubro dezembro férias dias "
    "отдел отпуск года год январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь"
)

# Titles after a name, and before one, in scripts without capitals.
AFTER = ("さん", "様", "氏", "さま", "先生", "女士", "小姐", "씨", "님")
BEFORE = ("السيد", "السيدة", "الأستاذ", "الأستاذة", "מר", "גברת", "श्री", "श्रीमती", "คุณ")
